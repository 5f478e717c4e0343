"""Where a task's texts come from: the hub, a folder, the user's own file, or generated.

Whatever the source, a task's data are checked in the same way, a subset is drawn by seed, and
the record says what was used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.data import generated as embedded
from benchmarks.harness.data.readers import (
    Rows,
    checked_texts,
    encode_labels,
    label_values,
    learn_label_names,
    read_file,
    require_columns,
)
from benchmarks.harness.data.record import _record
from benchmarks.harness.data.tasks import Task
from benchmarks.harness.data.texts import TaskData, Texts, _Found
from benchmarks.harness.errors import UserError, unknown

EVALUATION_SHARE = 0.2  # split off where a custom task has no evaluation set


def load_data(
    task: Task,
    source: str | None,
    *,
    train_examples: int | None,
    evaluation_examples: int | None,
    seed: int,
) -> TaskData:
    """Examples of a task from 'hub', 'dir:PATH' or 'embedded'; None takes a custom task's own
    source and is 'embedded' for a named one.

    `evaluation_examples` counts for each evaluation set; None takes all examples. A smaller
    subset is the start of a permutation drawn by `seed`, so that it lies inside every larger
    one. Raises UserError for whatever is wrong with the data.
    """
    for what, count in (("train", train_examples), ("evaluation", evaluation_examples)):
        if count is not None and count < 1:
            raise UserError(f"{what}_examples is {count}: at least 1 is needed")
    kind = _source_kind(task, source)
    if kind == "embedded":
        found = _generate(task, train_examples, evaluation_examples, seed)
    elif kind == "hub":
        found = _from_hub(task, seed)
    elif kind == "dir":
        found = _from_folder(task, Path(str(source).removeprefix("dir:")).expanduser())
    else:
        found = _from_file(task, seed)
    train = _subset(found.train, train_examples, seed, f"training {task.item}s of {task.title}")
    if len(np.unique(train.labels)) == 1:
        raise UserError(
            f"the {len(train):,} training {task.item}s of {task.title} that seed "
            f"{seed} draws all have one label: take more"
        )
    evaluations = {
        name: _subset(texts, evaluation_examples, seed, f"{name} {task.item}s of {task.title}")
        for name, texts in found.evaluations.items()
    }
    record = _record(found, kind, train, evaluations, seed)
    return TaskData(found.task, train, evaluations, record)


def _source_kind(task: Task, source: str | None) -> str:
    own = "file" if task.file else "hub"
    if task.custom:
        if source not in (None, own):
            raise UserError(
                f"task {task.name!r} has its own data ({own}): leave out the data source {source!r}"
            )
        return own
    if source is None or source == "embedded":
        return "embedded"
    if source == "hub":
        return "hub"
    if source.startswith("dir:"):
        return "dir"
    raise unknown("data source", source, ("embedded", "hub", "dir:PATH"))


def _generate(task: Task, train: int | None, evaluation: int | None, seed: int) -> _Found:
    if task.generator is None:
        raise UserError(f"task {task.name!r} has no generated data: use hub or dir:PATH")
    train = train or embedded.TRAIN_EXAMPLES
    evaluation = evaluation or embedded.EVALUATION_EXAMPLES

    def make(count: int, stream: str) -> Texts:
        if task.generator == "reviews":
            first, labels = embedded.reviews(count, seed, stream)
            return Texts(first, None, labels)
        return Texts(*embedded.pairs(count, seed, stream, matched=stream != "mismatched"))

    return _Found(
        task,
        make(train, "train"),
        {name: make(evaluation, name) for name in task.evaluation_splits},
    )


def _from_folder(task: Task, folder: Path) -> _Found:
    if not folder.is_dir():
        raise UserError(f"data folder {str(folder)!r} is not there")
    inner = folder / task.name if (folder / task.name).is_dir() else folder

    def read(split: str) -> Texts:
        # One file, or the shards that the hub makes of a split.
        shards = [inner / f"{split}.parquet"]
        if not shards[0].is_file():
            shards = sorted(inner.glob(f"{split}-*-of-*.parquet"))
        if not shards:
            there = ", ".join(sorted(path.name for path in inner.iterdir())) or "nothing"
            raise UserError(
                f"data folder {str(folder)!r} has neither {task.name}/{split}.parquet "
                f"nor {split}.parquet; {str(inner)!r} holds: {there}"
            )
        parts = [read_file(shard, (*task.columns, task.label_column)) for shard in shards]
        columns = {
            name: [value for part in parts for value in part.columns[name]]
            for name in parts[0].columns
        }
        return _texts(task, Rows(columns, str(shards[0])), by_name=False)

    return _Found(
        task,
        read(task.train_split),
        {name: read(split) for name, split in task.evaluation_splits.items()},
    )


def _from_file(task: Task, seed: int) -> _Found:
    assert task.file is not None
    rows = read_file(task.file, (*task.columns, task.label_column))
    return _with_split(task, rows, seed, ())


def _from_hub(task: Task, seed: int) -> _Found:
    import datasets  # slow to import, and needed only here

    name = f"{task.hub_id!r}" + (f" ({task.hub_config})" if task.hub_config else "")
    try:
        loaded = datasets.load_dataset(task.hub_id, task.hub_config, revision=task.hub_revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        ways = (
            "use a local file"
            if task.custom
            else "use dir:PATH (parquet files) or embedded (generated data)"
        )
        raise UserError(
            f"cannot get the data set {name} from the hub: {reason}; if the hub is "
            f"out of reach, {ways}"
        ) from error

    def rows(split: str) -> Rows:
        if split not in loaded:
            raise UserError(
                f"data set {name} has no split {split!r}; its splits: " + ", ".join(loaded)
            )
        where = f"data set {name}, split {split!r},"
        columns = (*task.columns, task.label_column)
        require_columns(columns, loaded[split].column_names, where)
        return Rows(loaded[split].select_columns(list(columns)).to_dict(), where)

    if not task.custom:
        return _Found(
            task,
            _texts(task, rows(task.train_split), by_name=False),
            {
                shown: _texts(task, rows(split), by_name=False)
                for shown, split in task.evaluation_splits.items()
            },
        )
    notes = () if task.hub_revision else ("hub revision not pinned",)
    train = rows("train")
    names = getattr(loaded["train"].features[task.label_column], "names", None)
    held_out = next((split for split in ("validation", "test") if split in loaded), None)
    if held_out is None:
        return _with_split(task, train, seed, notes, names)
    known = tuple(names or learn_label_names(label_values(train, task.label_column)))
    task = task.model_copy(update={"label_names": known, "evaluation_splits": {held_out: held_out}})
    return _Found(
        task,
        _texts(task, train, by_name=names is None),
        {held_out: _texts(task, rows(held_out), by_name=names is None)},
        notes,
    )


def _with_split(
    task: Task, rows: Rows, seed: int, notes: tuple[str, ...], names: Sequence[str] | None = None
) -> _Found:
    """Splits an evaluation set off: of each label the same share, by seed, both sides in the
    order of the rows."""
    if len(rows) == 0:
        raise UserError(f"{rows.where} has no rows")
    known = tuple(names or learn_label_names(label_values(rows, task.label_column)))
    task = task.model_copy(
        update={"label_names": known, "evaluation_splits": {"evaluation": task.train_split}}
    )
    texts = _texts(task, rows, by_name=names is None)
    generator = np.random.Generator(np.random.PCG64([seed, 0]))
    held_out = []
    for label in np.unique(texts.labels):
        members = generator.permutation(np.flatnonzero(texts.labels == label))
        if len(members) == 1:
            raise UserError(
                f"{rows.where} has a single row with the label "
                f"{known[label]!r}: at least 2 are needed, one to learn from and one "
                "to judge by"
            )
        held_out.append(members[: max(1, round(EVALUATION_SHARE * len(members)))])
    evaluation = np.sort(np.concatenate(held_out))
    train = np.setdiff1d(np.arange(len(texts)), evaluation)
    notes = (
        *notes,
        f"{len(evaluation):,} of {len(texts):,} {task.item}s split off for "
        f"evaluation, stratified, by seed {seed}",
    )
    return _Found(task, texts.take(train), {"evaluation": texts.take(evaluation)}, notes)


def _texts(task: Task, rows: Rows, *, by_name: bool) -> Texts:
    if len(rows) == 0:
        raise UserError(f"{rows.where} has no rows")
    first, *second = (checked_texts(rows, column) for column in task.columns)
    labels = encode_labels(rows, task.label_column, task.label_names, by_name=by_name)
    return Texts(first, second[0] if second else None, labels)


def _subset(texts: Texts, count: int | None, seed: int, what: str) -> Texts:
    if count is None or count == len(texts):
        return texts
    if count > len(texts):
        raise UserError(f"asked for {count:,} {what}, there are {len(texts):,}")
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    return texts.take(generator.permutation(len(texts))[:count])
