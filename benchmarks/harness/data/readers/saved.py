"""Folders: train and evaluation parts as files, or a data set that `datasets` saved to disk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.data.readers import file_type, read_file, types_text
from benchmarks.harness.data.readers.rows import Rows, join_rows, require_columns
from benchmarks.harness.errors import UserError, first_line

TRAIN = ("train", "training")
# In order of preference; only the first that is there is used.
EVALUATION = ("validation", "valid", "val", "dev", "eval", "evaluation", "test")
_SHARD = re.compile(r"(.+?)-\d{5}-of-\d{5}$")

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
            f"data folder {str(folder)!r} has no training file (train with one of {types_text()}); "
            f"it contains: {there}"
        )
    held_out = next((name for name in EVALUATION if files.get(name) not in (None, train)), None)
    rows = join_rows([read_file(path, columns) for path in train])
    if held_out is None:
        return rows, None
    return rows, (held_out, join_rows([read_file(path, columns) for path in files[held_out]]))


def _part_files(folder: Path) -> dict[str, list[Path]]:
    """Data files by the name of their part; shards of a part in order."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        kind = file_type(path)
        if not path.is_file() or kind is None:
            continue
        stem = path.name[: path.name.lower().rindex(kind)]
        shard = _SHARD.match(stem)
        found.setdefault((shard[1] if shard else stem).lower(), []).append(path)
    for name, paths in found.items():
        if name in (*TRAIN, *EVALUATION) and len(paths) > 1:
            whole = [path.name for path in paths if not _SHARD.search(path.name.split(".")[0])]
            if whole:
                raise UserError(
                    f"data folder {str(folder)!r} has several files for the part {name!r} "
                    f"({', '.join(path.name for path in paths)}): keep one"
                )
    return found


def _read_saved(folder: Path, columns: Sequence[str]) -> Parts:
    import datasets  # slow to import, and needed only here

    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # the library raises whatever its parts do
        raise UserError(
            f"cannot read the data set saved in {str(folder)!r}: {first_line(error)}"
        ) from None
    return split_parts(loaded, columns, f"data set {str(folder)!r}")


def split_parts(loaded: Any, columns: Sequence[str], name: str) -> Parts:
    """The training and evaluation part of what `datasets` loaded."""
    if not hasattr(loaded, "keys"):
        return from_split(loaded, columns, name), None
    train = next((split for split in TRAIN if split in loaded), None)
    if train is None:
        raise UserError(f"{name} has no split 'train'; its splits: {', '.join(loaded)}")
    rows = from_split(loaded[train], columns, f"{name}, split {train!r},")
    held_out = next((split for split in EVALUATION if split in loaded), None)
    if held_out is None:
        return rows, None
    where = f"{name}, split {held_out!r},"
    return rows, (held_out, from_split(loaded[held_out], columns, where))


def from_split(split: Any, columns: Sequence[str], where: str) -> Rows:
    """One split as rows; the last of `columns` is the label's."""
    require_columns(columns, split.column_names, where)
    names = getattr(split.features[columns[-1]], "names", None)
    return Rows(
        split.select_columns(list(columns)).to_dict(),
        where,
        label_names=tuple(names) if names else None,
    )
