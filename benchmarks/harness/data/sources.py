"""Loads a task's texts from the hub, a folder or the user's own files, or generates them.

Whatever the source, the data are checked in the same way, a subset is drawn by seed, and the
record says what was used.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from benchmarks.harness.data import generated
from benchmarks.harness.data.choice import DataChoice, description, first_texts, split_again
from benchmarks.harness.data.own import hub_name, load_hub, make_texts, read_own
from benchmarks.harness.data.readers import read_file
from benchmarks.harness.data.readers.rows import first_few, join_rows
from benchmarks.harness.data.readers.saved import check_shards, from_split
from benchmarks.harness.data.record import make_record
from benchmarks.harness.data.tasks import Task
from benchmarks.harness.data.texts import Found, TaskData, Texts
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine.paths import user_path


def load_data(
    task: Task,
    source: str | None,
    *,
    train_examples: int | None,
    evaluation_examples: int | None,
    seed: int,
    choice: DataChoice | None = None,
) -> TaskData:
    """Examples of a task from 'hub', 'dir:PATH' or 'embedded'; None takes a custom task's own
    source and is 'embedded' for a named one.

    `evaluation_examples` counts for each evaluation set; None takes all examples. A smaller
    subset is the start of a permutation drawn by `seed`, so that it lies inside every larger
    one. `choice` says what is changed about the drawn examples. Raises UserError for whatever is
    wrong with the data.
    """
    for what, count in (("train", train_examples), ("evaluation", evaluation_examples)):
        if count is not None and count < 1:
            raise UserError(f"{what}_examples is {count}: use at least 1")
    kind = _source_kind(task, source)
    if task.custom:
        found = read_own(task, seed)
    elif kind == "embedded":
        found = _generate(task, train_examples, evaluation_examples, seed)
    elif kind == "hub":
        found = _from_hub(task)
    else:
        found = _from_folder(task, user_path(str(source).removeprefix("dir:")))
    train = _subset(found.train, train_examples, seed, f"training {task.item}s of {task.title}")
    evaluations = {
        name: _subset(texts, evaluation_examples, seed, f"{name} {task.item}s of {task.title}")
        for name, texts in found.evaluations.items()
    }
    record = make_record(found, kind, train, evaluations, seed)
    data = TaskData(found.task, train, evaluations, record)
    if choice is not None and choice.changes_examples:
        data = _changed(found, data, choice, seed)
    _check_labels(data, seed)
    return data


def _check_labels(data: TaskData, seed: int) -> None:
    task, train = data.task, data.train
    if len(np.unique(train.labels)) == 1:
        raise UserError(
            f"the {len(train):,} training {task.item}s of {task.title} that seed "
            f"{seed} draws all have one label: use more examples"
        )


def _changed(found: Found, drawn: TaskData, choice: DataChoice, seed: int) -> TaskData:
    """The drawn examples split again, reduced to a share and shortened, as the choice says."""
    parts = dataclasses.replace(found, train=drawn.train, evaluations=drawn.evaluations)
    if choice.resplit:
        parts = split_again(parts, choice.resplit, seed)
    if choice.train_share:
        count = max(1, round(choice.train_share * len(parts.train)))
        parts = dataclasses.replace(parts, train=_subset(parts.train, count, seed, "examples"))
    if choice.first_text_only:
        parts = first_texts(parts)
    record = make_record(parts, drawn.record.source, parts.train, parts.evaluations, seed)
    evaluation = sum(record.evaluation_examples.values())
    text = drawn.record.description + description(choice, len(parts.train), evaluation, seed)
    record = record.model_copy(update={"description": text})
    return TaskData(parts.task, parts.train, parts.evaluations, record)


def _source_kind(task: Task, source: str | None) -> str:
    own = "file" if task.file else "hub"
    if task.custom:
        if source not in (None, own):
            raise UserError(
                f"--data {source}: task {task.name!r} has its own data: leave out --data"
            )
        return own
    if source is None or source == "embedded":
        return "embedded"
    if source == "hub":
        return "hub"
    if source == "dir:":
        raise UserError("--data dir: has no path: write dir:PATH")
    if source.startswith("dir:"):
        return "dir"
    raise unknown("data source", source, ("embedded", "hub", "dir:PATH"))


def _generate(task: Task, train: int | None, evaluation: int | None, seed: int) -> Found:
    if task.generator is None:
        raise UserError(
            f"task {task.name!r} has no generated data: use --data hub or --data dir:PATH"
        )
    train = train or generated.TRAIN_EXAMPLES
    evaluation = evaluation or generated.EVALUATION_EXAMPLES

    def make(count: int, stream: str) -> Texts:
        if task.generator == "reviews":
            first, labels = generated.reviews(count, seed, stream)
            return Texts(first, None, labels)
        return Texts(*generated.pairs(count, seed, stream, matched=stream != "mismatched"))

    return Found(
        task,
        make(train, "train"),
        {name: make(evaluation, name) for name in task.evaluation_splits},
    )


def _from_folder(task: Task, folder: Path) -> Found:
    if not folder.is_dir():
        raise UserError(f"data folder {str(folder)!r} does not exist: check the path")
    inner = folder / task.name if (folder / task.name).is_dir() else folder

    def read(split: str) -> Texts:
        # One file, or the shards that the hub makes of a split.
        shards = [inner / f"{split}.parquet"]
        if not shards[0].is_file():
            shards = sorted(inner.glob(f"{split}-*-of-*.parquet"))
        if not shards:
            there = first_few(sorted(path.name for path in inner.iterdir())) or "nothing"
            raise UserError(
                f"data folder {str(folder)!r} has neither {task.name}/{split}.parquet nor {split}.parquet; "
                f"{str(inner)!r} contains: {there}: save the data there, or choose another folder"
            )
        check_shards(shards)
        parts = [read_file(shard, (*task.columns, task.label_column)) for shard in shards]
        return make_texts(task, join_rows(parts), by_name=False)

    return Found(
        task,
        read(task.train_split),
        {name: read(split) for name, split in task.evaluation_splits.items()},
    )


def _from_hub(task: Task) -> Found:
    loaded = load_hub(task)

    def read(split: str) -> Texts:
        name = hub_name(task)
        if split not in loaded:
            raise UserError(
                f"{name} has no split {split!r}, only {', '.join(loaded)}: use --data dir:PATH"
            )
        columns = (*task.columns, task.label_column)
        rows = from_split(loaded[split], columns, f"{name}, split {split!r},")
        return make_texts(task, rows, by_name=False)

    return Found(
        task,
        read(task.train_split),
        {name: read(split) for name, split in task.evaluation_splits.items()},
    )


def _subset(texts: Texts, count: int | None, seed: int, what: str) -> Texts:
    if count is None or count == len(texts):
        return texts
    if count > len(texts):
        raise UserError(
            f"{count:,} {what} requested, but there are only {len(texts):,}: use at most {len(texts):,}"
        )
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    return texts.take(generator.permutation(len(texts))[:count])
