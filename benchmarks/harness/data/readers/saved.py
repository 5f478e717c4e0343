"""Folders: train and evaluation parts as files, or a data set that `datasets` saved to disk."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.data.readers import file_type, read_file, types_text
from benchmarks.harness.data.readers.rows import MissingColumn, Rows, join_rows, require_columns
from benchmarks.harness.errors import UserError, first_line

TRAIN = ("train", "training")
# In order of preference; only the first that is there is used.
EVALUATION = ("validation", "valid", "val", "dev", "eval", "evaluation", "test")
_HIDDEN = (-1, "-1", None, "")  # what stands for a label that is kept secret
_SHARD = re.compile(r"(.+?)-\d{5}-of-(\d{5})$")

Parts = tuple[Rows, tuple[str, Rows] | None]  # training rows, name and rows for evaluation


def read_folder(folder: Path, columns: Sequence[str]) -> Parts:
    """The training part of a folder, and its evaluation part if it has one."""
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _read_saved(folder, columns)
    files = _part_files(folder)
    if not files and (folder / "data").is_dir():
        files = _part_files(folder / "data")
    train = next((files[name] for name in TRAIN if name in files), None)
    if train is None and len(files) == 1:
        (train,) = files.values()
    if train is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) or "nothing"
        raise UserError(
            f"data folder {str(folder)!r} has no training file; it contains: {there}: name the file train, "
            f"with one of {types_text()}"
        )

    def read(paths: Sequence[Path]) -> Rows:
        return join_rows([read_file(path, columns) for path in paths])

    others = [name for name in EVALUATION if files.get(name) not in (None, train)]
    return _with_evaluation(read(train), others, lambda name: read(files[name]), columns[-1])


def _with_evaluation(
    train: Rows, names: Sequence[str], read: Callable[[str], Rows], label: str
) -> Parts:
    """The training rows, and the first of the other parts that has labels."""
    for name in names:
        try:
            rows = read(name)
            hidden = len(rows) > 0 and all(value in _HIDDEN for value in rows.columns[label])
        except MissingColumn as error:
            if error.column != label or error.near:
                raise
            hidden = True
        if not hidden:
            return train, (name, rows)
        note = f"the part {name!r} has no labels and is not used"
        train = dataclasses.replace(train, notes=(*train.notes, note))
    return train, None


def _part_files(folder: Path) -> dict[str, list[Path]]:
    """Data files by the name of their part; shards of a part in order."""
    found: dict[str, list[Path]] = {}
    paths = sorted(folder.iterdir())
    for inner in paths:
        if inner.is_dir() and inner.name.lower() in (*TRAIN, *EVALUATION):
            inside = [path for path in sorted(inner.iterdir()) if _is_data(path)]
            if inside:
                found[inner.name.lower()] = inside
    folders = list(found)
    for path in paths:
        kind = file_type(path)
        if kind is None or not _is_data(path):
            continue
        stem = path.name[: path.name.lower().rindex(kind)]
        shard = _SHARD.match(stem)
        found.setdefault((shard[1] if shard else stem).lower(), []).append(path)
    for name, paths in found.items():
        check_shards(paths)
        one_folder = name in folders and len({path.parent for path in paths}) == 1
        if name in (*TRAIN, *EVALUATION) and len(paths) > 1 and not one_folder:
            whole = [path.name for path in paths if not _SHARD.search(path.name.split(".")[0])]
            if whole:
                raise UserError(
                    f"data folder {str(folder)!r} has several files for the part {name!r} "
                    f"({', '.join(path.name for path in paths)}): keep one"
                )
    return found


def check_shards(paths: Sequence[Path]) -> None:
    """Raises UserError for a part whose names say that it has more files than there are."""
    numbered = [m for path in paths if (m := _SHARD.match(path.name.split(".")[0]))]
    expected = int(numbered[0][2]) if numbered else 0
    if numbered and len(numbered) != expected:
        raise UserError(
            f"data folder {str(paths[0].parent)!r} has {len(numbered)} of the {expected} files "
            f"{numbered[0][1]}-…-of-{numbered[0][2]}: download the others"
        )


def _is_data(path: Path) -> bool:
    """Whether it is a data file, not one that a file manager left there ('._train.csv')."""
    return path.is_file() and file_type(path) is not None and not path.name.startswith(".")


def _read_saved(folder: Path, columns: Sequence[str]) -> Parts:
    import datasets  # slow to import, and needed only here

    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # the library raises whatever its parts do
        raise UserError(
            f"cannot read the data set saved in {str(folder)!r} ({first_line(error)}): save it again"
        ) from None
    return split_parts(loaded, columns, f"data set {str(folder)!r}")


def split_parts(loaded: Any, columns: Sequence[str], name: str) -> Parts:
    """The training and evaluation part of what `datasets` loaded."""
    if not hasattr(loaded, "keys"):
        return from_split(loaded, columns, name), None
    train = next((split for split in TRAIN if split in loaded), None)
    if train is None:
        raise UserError(
            f"{name} has no split 'train'; its splits: {', '.join(loaded)}: rename one, or save it as files"
        )
    rows = from_split(loaded[train], columns, f"{name}, split {train!r},")

    def read(split: str) -> Rows:
        return from_split(loaded[split], columns, f"{name}, split {split!r},")

    others = [split for split in EVALUATION if split in loaded]
    return _with_evaluation(rows, others, read, columns[-1])


def from_split(split: Any, columns: Sequence[str], where: str) -> Rows:
    """One split as rows; the last of `columns` is the label's."""
    require_columns(columns, split.column_names, where)
    names = getattr(split.features[columns[-1]], "names", None)
    return Rows(
        split.select_columns(list(columns)).to_dict(),
        where,
        label_names=tuple(names) if names else None,
    )
