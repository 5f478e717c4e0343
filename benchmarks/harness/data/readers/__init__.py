"""Reads named columns from data files as people have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness.data.readers import delimited, json_rows, parquet_file
from benchmarks.harness.data.readers.content import read_content
from benchmarks.harness.data.readers.rows import Rows as Rows
from benchmarks.harness.data.readers.rows import require_columns as require_columns
from benchmarks.harness.errors import UserError

_READERS: dict[str, Callable[[bytes, str, Sequence[str]], Rows]] = {
    ".csv": delimited.read_csv,
    ".tsv": delimited.read_tsv,
    ".json": json_rows.read_json,
    ".jsonl": json_rows.read_json,
    ".ndjson": json_rows.read_json,
    ".parquet": parquet_file.read_parquet,
}
FILE_TYPES = tuple(_READERS)


def file_type(path: Path) -> str | None:
    """The ending that decides how a file is read; None for an unsupported one. '.gz' may
    follow it."""
    endings = [suffix.lower() for suffix in path.suffixes]
    if endings[-1:] == [".gz"]:
        endings.pop()
    return endings[-1] if endings[-1:] and endings[-1] in _READERS else None


def read_file(path: Path, columns: Sequence[str]) -> Rows:
    """Reads `columns` of a file. Raises UserError that names the file and what to change."""
    kind = file_type(path)
    if kind is None:
        raise UserError(f"data file {str(path)!r} has an unsupported type: use {types_text()}")
    where = repr(str(path))
    return _READERS[kind](read_content(path), where, columns)


def types_text() -> str:
    return ", ".join(FILE_TYPES) + ", or one of them with .gz"
