"""The user's own data: a file, a folder, or a data set of the hub."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.data import inspection
from benchmarks.harness.data.readers import read_file
from benchmarks.harness.data.readers.rows import Rows
from benchmarks.harness.data.readers.saved import Parts, read_folder, split_parts
from benchmarks.harness.data.tasks import Task
from benchmarks.harness.data.texts import Found, Texts
from benchmarks.harness.errors import UserError, download_reason

EVALUATION_SHARE = 0.2  # split off if there is no evaluation set


def read_own(task: Task, seed: int) -> Found:
    """Reads a custom task. Raises UserError for everything that is wrong with its data."""
    columns = (*task.columns, task.label_column)
    if task.hub_id is not None:
        notes = [] if task.hub_revision else ["hub revision not pinned"]
        train, evaluation = split_parts(load_hub(task), columns, hub_name(task))
    else:
        notes = []
        train, evaluation = _read_path(task.file or Path(), columns)
    if task.evaluation_file is not None:
        whole, part = _read_path(task.evaluation_file, columns)
        evaluation = ("evaluation", part[1] if part else whole)
    train = _by_name(train, task.label_column)
    _check_rows(train)
    names = train.label_names or inspection.sort_labels(
        inspection.label_texts(train, task.label_column)
    )
    task = task.model_copy(update={"label_names": tuple(names)})
    texts = make_texts(task, train, by_name=True)
    notes += [*train.notes, *_notes(task, train, texts)]
    if evaluation is None:
        inspection.check_single_rows(train, task.label_column, texts.labels, names)
        found = _split(task, texts, seed, notes)
    else:
        name, rows = evaluation[0], _by_name(evaluation[1], task.label_column)
        task = task.model_copy(update={"evaluation_splits": {name: name}})
        held_out = make_texts(task, rows, by_name=True)
        notes += [note for note in rows.notes if note not in notes]
        found = Found(task, texts, {name: held_out}, tuple(notes))
    return _with_leak_note(found)


def _by_name(rows: Rows, column: str) -> Rows:
    """The rows with labels by name, where the data set declares its classes: another part may
    declare them in another order."""
    names = rows.label_names
    if names is None:
        return rows
    named = [
        names[value] if isinstance(value, int) and 0 <= value < len(names) else value
        for value in rows.columns[column]
    ]
    texts = [str(value) if value == -1 else value for value in named]
    return dataclasses.replace(rows, columns={**rows.columns, column: texts})


def _with_leak_note(found: Found) -> Found:
    (held_out,) = found.evaluations.values()
    shared = len(set(found.train.keys()) & set(held_out.keys()))
    if not shared:
        return found
    texts = f"{shared:,} texts" if shared > 1 else "1 text"
    are = "are" if shared > 1 else "is"
    note = f"{texts} of the evaluation part {are} in the training part too"
    return dataclasses.replace(found, notes=(*found.notes, note))


def _read_path(path: Path, columns: tuple[str, ...]) -> Parts:
    return read_folder(path, columns) if path.is_dir() else (read_file(path, columns), None)


def _check_rows(rows: Rows) -> None:
    if len(rows) == 0:
        raise UserError(f"{rows.where} has no rows")
    inspection.check_header(rows)


def make_texts(task: Task, rows: Rows, *, by_name: bool) -> Texts:
    """Inspects rows and turns them into texts and labels."""
    _check_rows(rows)
    first, *second = (inspection.checked_texts(rows, column) for column in task.columns)
    labels = inspection.encode_labels(rows, task.label_column, task.label_names, by_name=by_name)
    return Texts(first, second[0] if second else None, labels)


def _notes(task: Task, rows: Rows, texts: Texts) -> list[str]:
    counts = np.bincount(texts.labels, minlength=len(task.label_names)).tolist()
    return [
        *inspection.notes_on_labels(task.label_names, counts),
        *inspection.notes_on_texts(rows, task.columns, texts.labels),
    ]


def _split(task: Task, texts: Texts, seed: int, notes: list[str]) -> Found:
    """Splits an evaluation set off: the same share of each label, by seed, in the order of the
    rows."""
    generator = np.random.Generator(np.random.PCG64([seed, 0]))
    held_out = []
    for label in np.unique(texts.labels):
        members = generator.permutation(np.flatnonzero(texts.labels == label))
        held_out.append(members[: max(1, round(EVALUATION_SHARE * len(members)))])
    evaluation = np.sort(np.concatenate(held_out))
    train = np.setdiff1d(np.arange(len(texts)), evaluation)
    task = task.model_copy(update={"evaluation_splits": {"evaluation": task.train_split}})
    note = (
        f"{len(evaluation):,} of {len(texts):,} {task.item}s split off for "
        f"evaluation, stratified, by seed {seed}"
    )
    held = {"evaluation": texts.take(evaluation)}
    return Found(task, texts.take(train), held, (*notes, note))


def hub_name(task: Task) -> str:
    configuration = f" ({task.hub_config})" if task.hub_config else ""
    return f"data set {task.hub_id!r}{configuration}"


def load_hub(task: Task) -> Any:
    """The task's data set, from the hub or the hub's local cache. Raises UserError."""
    try:
        import datasets  # slow to import, and needed only here

        return datasets.load_dataset(task.hub_id, task.hub_config, revision=task.hub_revision)
    except Exception as error:  # network, proxy, file system and parsers each raise their own
        other = (
            "use a local file"
            if task.custom
            else "use dir:PATH (parquet files) or embedded (generated data)"
        )
        raise UserError(
            f"cannot download {hub_name(task)} from the hub ({download_reason(error)}): check its name, or if the "
            f"hub cannot be reached, {other}"
        ) from error
