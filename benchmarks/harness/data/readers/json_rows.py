"""JSON: one object per line, or an array of objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.harness.data.readers.content import decode
from benchmarks.harness.data.readers.rows import Rows, first_few, require_columns
from benchmarks.harness.errors import UserError


class _DuplicateKey(ValueError):
    """An object names a key twice."""


def read_json(content: bytes, where: str, columns: Sequence[str]) -> Rows:
    """Whether it is an array or lines follows from the content, not from the file's ending."""
    text = decode(content, where)
    if text.lstrip().startswith("["):
        return _read_array(text, where, columns)
    try:
        whole = _parse(text)
    except (ValueError, RecursionError):
        return _read_lines(text, where, columns)
    if isinstance(whole, dict) and set(columns) <= whole.keys():
        values = [whole[name] for name in columns]
        if any(isinstance(value, list | dict) for value in values):
            raise UserError(f"{where} is one object that holds columns: write one object per row")
    return _read_lines(text, where, columns)


def _read_array(text: str, where: str, columns: Sequence[str]) -> Rows:
    try:
        items = _parse(text)
    except (ValueError, RecursionError) as error:
        lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) > 1 and _is_json(lines[0][1]):
            return _read_lines(text, where, columns)
        raise UserError(f"{where} is not valid JSON ({_reason(error)}): correct it") from None
    return _collect([(f"row {i}", item) for i, item in enumerate(items, 1)], where, columns, None)


def _is_json(line: str) -> bool:
    try:
        _parse(line)
    except (ValueError, RecursionError):
        return False
    return True


def _read_lines(text: str, where: str, columns: Sequence[str]) -> Rows:
    items: list[tuple[str, Any]] = []
    numbers: list[int] = []
    broken: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            items.append((f"line {number}", _parse(line)))
            numbers.append(number)
        except (ValueError, RecursionError) as error:
            broken.append(f"line {number} ({_reason(error)})")
    if broken:
        raise UserError(
            f"{where} has {_count(len(broken), 'line')} not valid JSON: {first_few(broken)}: "
            "write one object per line, or an array of objects"
        )
    return _collect(items, where, columns, numbers)


def _parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique_keys)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateKey("an object has a key twice")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}" if error.lineno > 1 else error.msg
    return str(error) if isinstance(error, _DuplicateKey) else "too large or too deeply nested"


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}s that are" if count > 1 else f"1 {thing} that is"


def _collect(
    items: Sequence[tuple[str, Any]], where: str, columns: Sequence[str], lines: list[int] | None
) -> Rows:
    others = [place for place, item in items if not isinstance(item, dict)]
    if others:
        raise UserError(
            f"{where} has {_count(len(others), 'value')} not a JSON object: {first_few(others)}: write "
            "every row as an object of columns and values"
        )
    for name in columns:
        missing = [place for place, item in items if name not in item]
        if missing and len(missing) == len(items):
            require_columns(columns, list(items[0][1]), where)
        if missing:
            rows = f"{len(missing):,} rows have" if len(missing) > 1 else "1 row has"
            raise UserError(
                f"{where}: {rows} no column {name!r}: {first_few(missing)}: add it, or remove the row"
            )
    values = {name: [item[name] for _, item in items] for name in columns}
    return Rows(values, where, lines=lines)
