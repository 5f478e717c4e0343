"""Reads named columns from files of texts and labels. Every complaint names file and column."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from benchmarks.harness.errors import UserError


@dataclass(frozen=True)
class Rows:
    """Columns of one set as they were read, not yet checked, and where they are from."""

    columns: dict[str, list[Any]]
    where: str  # for messages: the file, or the hub's split

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def read_file(path: Path, columns: Sequence[str]) -> Rows:
    """Parquet, CSV (comma separated, first line names the columns) or JSONL (one object a line),
    by the file's ending."""
    if not path.is_file():
        raise UserError(f"data file {str(path)!r} is not there")
    reader = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}[path.suffix.lower()]
    try:
        return reader(path, columns)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read {str(path)!r} as {path.suffix[1:]}: {reason}") from error


def _parquet(path: Path, columns: Sequence[str]) -> Rows:
    with pyarrow.parquet.ParquetFile(path) as file:
        require_columns(columns, file.schema_arrow.names, str(path))
        table = file.read(columns=list(columns))
    return Rows(table.to_pydict(), str(path))


def _csv(path: Path, columns: Sequence[str]) -> Rows:
    # All values as they stand: a text of digits is a text, and so is an empty one.
    with pyarrow.csv.open_csv(path, parse_options=_CSV_RULES) as reader:
        names = reader.schema.names
    require_columns(columns, names, str(path))
    as_text = pyarrow.csv.ConvertOptions(
        include_columns=list(columns),
        strings_can_be_null=False,
        column_types={name: pyarrow.string() for name in columns},
    )
    table = pyarrow.csv.read_csv(path, parse_options=_CSV_RULES, convert_options=as_text)
    return Rows(table.to_pydict(), str(path))


_CSV_RULES = pyarrow.csv.ParseOptions(newlines_in_values=True)


def _jsonl(path: Path, columns: Sequence[str]) -> Rows:
    found: dict[str, list[Any]] = {name: [] for name in columns}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{str(path)!r} line {number} is no JSON: {error.msg}") from error
            if not isinstance(row, dict):
                raise UserError(f"{str(path)!r} line {number} is no JSON object")
            require_columns(columns, list(row), f"{path} line {number}")
            for name in columns:
                found[name].append(row[name])
    return Rows(found, str(path))


def require_columns(wanted: Sequence[str], there: Sequence[str], where: str) -> None:
    for name in wanted:
        if name not in there:
            raise UserError(f"column {name!r} is not in {where}; its columns: {', '.join(there)}")


def checked_texts(rows: Rows, column: str) -> list[str]:
    """The column's texts; an empty one is a text, anything else than a string is not."""
    values = rows.columns[column]
    for row, value in enumerate(values):
        if not isinstance(value, str):
            kind = "nothing" if value is None else f"a {type(value).__name__}"
            raise UserError(
                f"column {column!r} of {rows.where} has {kind} in row {row}, where a text must be"
            )
        if not value.isascii() and _has_surrogate(value):
            raise UserError(f"column {column!r} of {rows.where} has broken Unicode in row {row}")
    return values


def _has_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def label_values(rows: Rows, column: str) -> list[Any]:
    """All integers or all strings; strings that all are integers count as integers."""
    values = rows.columns[column]
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return [str(value).lower() for value in values]
    if kinds == {str}:
        try:
            return [int(value) for value in values]
        except ValueError:
            return values
    for row, value in enumerate(values):
        if type(value) is not int:
            shown = "no label" if value is None else f"the label {value!r}"
            raise UserError(
                f"column {column!r} of {rows.where} has {shown} in row {row}; labels "
                "are all integers or all strings"
            )
    return values


def learn_label_names(values: Sequence[Any]) -> tuple[str, ...]:
    """Label names of a task that has none: its labels, sorted."""
    return tuple(str(value) for value in sorted(set(values)))


def encode_labels(rows: Rows, column: str, names: Sequence[str], *, by_name: bool) -> np.ndarray:
    """Labels as int32 (rows,): looked up in `names`, or, where not `by_name`, numbers already.
    Refuses an unknown label and a set with one class only."""
    values = label_values(rows, column)
    if any(value == -1 for value in values):
        raise UserError(
            f"column {column!r} of {rows.where} has the label -1: the labels of this "
            "set are hidden (as in GLUE's test sets); take a set that has labels"
        )
    by_value: dict[Any, int] = {name: i for i, name in enumerate(names)}
    if not by_name and not isinstance(values[0], str):
        by_value = {i: i for i in range(len(names))}
    else:
        values = [str(value) for value in values]
    counts = Counter(values)
    for value in counts:
        if value not in by_value:
            raise UserError(
                f"column {column!r} of {rows.where} has the label {value!r} in row "
                f"{values.index(value)}, outside the task's labels: "
                + ", ".join(f"{known!r}" for known in by_value)
            )
    if len(counts) == 1:
        raise UserError(
            f"all {len(values):,} rows of {rows.where} have the label "
            f"{values[0]!r}: nothing can be learned or judged from one class"
        )
    return np.array([by_value[value] for value in values], np.int32)
