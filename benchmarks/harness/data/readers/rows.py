"""Columns as they were read, and where each row is in its file."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.errors import UserError

SHOWN = 3  # offenders that a message names; all are counted


@dataclass(frozen=True)
class Rows:
    """Columns of one set, not yet checked."""

    columns: dict[str, list[Any]]
    where: str  # for messages: the file, or the hub's split
    lines: Sequence[int] | None = None  # the line of the file on which each row begins
    notes: tuple[str, ...] = ()  # what was assumed when it was read
    label_names: tuple[str, ...] | None = None  # where the data set declares its classes

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def place(self, row: int) -> str:
        """Where a row is, counted from 1."""
        if self.lines is None:
            return f"row {row + 1}"
        return f"row {row + 1} (line {self.lines[row]})"

    def places(self, rows: Sequence[int]) -> str:
        """The first few places, and how many more there are."""
        return first_few([self.place(row) for row in rows])


def first_few(texts: Sequence[str]) -> str:
    shown = ", ".join(texts[:SHOWN])
    return shown if len(texts) <= SHOWN else f"{shown} and {len(texts) - SHOWN:,} more"


def join_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of several files with the same columns, one after another."""
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: [value for part in parts for value in part.columns[name]] for name in parts[0].columns
    }
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Rows(columns, parts[0].where, notes=notes, label_names=parts[0].label_names)


class MissingColumn(UserError):
    """A column that a data file does not have. `near`: another one has nearly its name."""

    def __init__(self, message: str, column: str, near: bool) -> None:
        super().__init__(message)
        self.column, self.near = column, near


def require_columns(
    wanted: Sequence[str], there: Sequence[str], where: str, rule: str = ""
) -> None:
    """Raises UserError for a column that is missing, or that occurs twice."""
    shown = ", ".join(_shown(name) for name in there[:20])
    for name in wanted:
        if name not in there:
            alike = [other for other in there if other.casefold() == name.casefold()]
            near = alike[:1] or difflib.get_close_matches(name, there, n=1, cutoff=0.7)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise MissingColumn(
                f"column {name!r} is not in {where}; its columns: {shown}{hint}"
                + (f"; {rule}" if rule else ""),
                name,
                bool(near),
            )
        if list(there).count(name) > 1:
            raise UserError(
                f"column {name!r} occurs {list(there).count(name)} times in {where}: rename or remove all but one"
            )


def visible(text: str) -> str:
    """The text without spaces and invisible characters (such as a second byte order mark) around
    it."""
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Cf", "Cc")


def _shown(name: str) -> str:
    return name if name.isprintable() and name.strip() == name != "" else repr(name)
