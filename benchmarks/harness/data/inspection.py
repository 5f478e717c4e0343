"""Looks at every row once, before anything is trained.

What is certainly wrong is an error that counts all offenders of its kind and names the first few.
What may be meant is read as written and noted.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from benchmarks.harness.data.readers.rows import Rows, first_few, visible
from benchmarks.harness.errors import UserError

_INTEGER = re.compile(r"-?[1-9][0-9]{0,17}|0")  # as a number is usually written
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
# The replacement character, and UTF-8 that was read as Windows-1252.
_DAMAGED = re.compile("\ufffd|\u00c3[\u0080-\u00bf]|\u00e2\u20ac")
MANY_CLASSES, ROWS_PER_CLASS = 20, 4  # from there on, the label column is questioned
_MISSING_WORDS = {"nan", "na", "n/a", "null", "none", "<na>", "nil", "-", "?", "missing"}


def _problem(rows: Rows, column: str, offenders: Sequence[int], what: str, fix: str) -> UserError:
    many = f"{len(offenders):,} rows have" if len(offenders) > 1 else "1 row has"
    return UserError(
        f"column {column!r} of {rows.where}: {many} {what}: {rows.places(offenders)}; rows are "
        f"counted from 1: {fix}"
    )


def checked_texts(rows: Rows, column: str) -> list[str]:
    """The column's texts. An empty text is allowed; raises UserError for any other type."""
    values = rows.columns[column]
    missing = [i for i, value in enumerate(values) if _is_missing(value)]
    if missing:
        raise _problem(rows, column, missing, "no text", "fill it in, or remove the row")
    others = [i for i, value in enumerate(values) if not isinstance(value, str)]
    if others:
        kind = type(values[others[0]]).__name__
        raise _problem(rows, column, others, f"a value of type {kind}", "write it as a string")
    broken = [i for i, value in enumerate(values) if not value.isascii() and _has_surrogate(value)]
    if broken:
        raise _problem(rows, column, broken, "broken Unicode (half of a pair)", "repair the text")
    if not any(value.strip() for value in values):
        raise UserError(
            f"column {column!r} of {rows.where} has no text in any of its {len(values):,} rows: "
            "name another column"
        )
    return values


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def check_header(rows: Rows) -> None:
    """Raises UserError for rows that repeat the names of all columns, as after joining files."""
    names = list(rows.columns)
    repeated = [
        i
        for i, values in enumerate(zip(*rows.columns.values(), strict=True))
        if [visible(v) if isinstance(v, str) else v for v in values] == names
    ]
    if repeated:
        raise _problem(rows, names[-1], repeated, "the column's own name", "remove the header row")


def label_texts(rows: Rows, column: str) -> list[str]:
    """Labels as written. Raises UserError for missing labels, and for types that are no classes
    or that are mixed."""
    values = rows.columns[column]
    missing = [
        i
        for i, value in enumerate(values)
        if _is_missing(value) or (isinstance(value, str) and not visible(value))
    ]
    if missing:
        raise _problem(rows, column, missing, "no label", "fill it in, or remove the row")
    kinds = Counter(type(value) for value in values)
    classes: tuple[type, ...] = (bool, int, float, str)
    usual = next((kind for kind, _ in kinds.most_common() if kind in classes), None)
    others = [i for i, value in enumerate(values) if type(value) is not usual]
    if others and isinstance(values[others[0]], list | tuple):
        raise _problem(rows, column, others, "a list of labels", "write one label per row")
    if usual is float and not others and any(value % 1 for value in values):
        others = list(range(len(values)))
    if others:
        shown = f"the label {str(values[others[0]])!r} of type {type(values[others[0]]).__name__}"
        raise _problem(
            rows, column, others, shown, "write all labels as integers, or all as strings"
        )
    if usual is bool:
        return [str(value).lower() for value in values]
    broken = [i for i, value in enumerate(values) if _has_surrogate(str(value))]
    if broken:
        raise _problem(rows, column, broken, "broken Unicode (half of a pair)", "repair the label")
    return [str(value) for value in values]


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """The different labels, sorted as numbers if all are written as integers usually are."""
    different = set(labels)
    if all(_INTEGER.fullmatch(label) for label in different):
        return tuple(sorted(different, key=int))
    return tuple(sorted(different))


def encode_labels(rows: Rows, column: str, names: Sequence[str], *, by_name: bool) -> np.ndarray:
    """Labels as int32 (rows,): positions in `names`, or already numbers unless `by_name`.

    Raises UserError for a hidden or unknown label, and for a set with one class only."""
    labels = label_texts(rows, column)
    numbered = not by_name and not isinstance(rows.columns[column][0], str)
    hidden = [i for i, label in enumerate(labels) if label == "-1"]
    if hidden and (not by_name or len(hidden) == len(labels)):
        raise _problem(
            rows,
            column,
            hidden,
            "the label -1, which means that labels are hidden (as in GLUE's test sets)",
            "use a set that has labels",
        )
    known = [str(i) for i in range(len(names))] if numbered else list(names)
    index = {label: i for i, label in enumerate(known)}
    unknown = [i for i, label in enumerate(labels) if label not in index]
    if unknown:
        shown = first_few([repr(label) for label in dict.fromkeys(labels[i] for i in unknown)])
        allowed = ", ".join(known[:10]) + ("" if len(known) <= 10 else ", …")
        raise _problem(
            rows, column, unknown, f"the label {shown}, outside the task's labels: {allowed}",
            "correct or remove it",
        )  # fmt: skip
    if len(set(labels)) == 1:
        raise UserError(
            f"all {len(labels):,} rows of {rows.where} have the label {labels[0]!r}: add rows with "
            "another label, or name another column"
        )
    return np.array([index[label] for label in labels], np.int32)


def check_single_rows(rows: Rows, column: str, labels: np.ndarray, names: Sequence[str]) -> None:
    """Raises UserError for labels with one row, where a set is split by label."""
    counts = np.bincount(labels, minlength=len(names))
    single = [i for i in range(len(names)) if counts[i] == 1]
    if not single:
        return
    if len(single) >= MANY_CLASSES and 2 * len(single) > len(names):
        raise UserError(
            f"column {column!r} of {rows.where} has {len(names):,} different values in "
            f"{len(labels):,} rows, {len(single):,} of them once: it does not hold classes; name "
            "another column with --label-column"
        )
    places = [f"{names[i]!r} in {rows.place(int(np.argmax(labels == i)))}" for i in single]
    what = (
        f"{len(single):,} labels have" if len(single) > 1 else f"the label {names[single[0]]!r} has"
    )
    raise UserError(
        f"column {column!r} of {rows.where}: {what} a single row: {first_few(places)}; rows are "
        "counted from 1: add rows or remove them, because every label needs one row to train on and one to "
        "evaluate"
    )


def _spellings(name: str) -> Iterable[Hashable]:
    """What two spellings of one label have in common."""
    plain = unicodedata.normalize("NFKC", name)
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    yield " ".join(plain.casefold().split())
    if _DECIMAL.fullmatch(plain.strip()):
        yield Fraction(plain.strip())


def _alike(names: Sequence[str]) -> list[list[int]]:
    """Groups of labels that a reader would take for one."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        for spelling in _spellings(name):
            found[spelling].append(i)
    groups = [group for group in found.values() if len(group) > 1]
    return [group for i, group in enumerate(groups) if group not in groups[:i]]


def notes_on_labels(names: Sequence[str], counts: Sequence[int]) -> list[str]:
    """Labels that look like an accident but may be meant."""
    notes = []
    alike = _alike(names)
    if alike:
        shown = first_few(
            [" and ".join(f"{names[i]!r} ({counts[i]:,} rows)" for i in group) for group in alike]
        )
        notes.append(f"labels that differ only in their spelling are separate classes: {shown}")
    missing = [name for name in names if name.strip().casefold() in _MISSING_WORDS]
    if missing:
        shown = first_few([repr(name) for name in missing])
        notes.append(f"read as a class, though it may mean 'no label': {shown}")
    lists = [name for name in names if name.startswith("[") and name.endswith("]")]
    if lists:
        shown = first_few([repr(name) for name in lists])
        notes.append(f"every list of labels is read as one class: {shown}")
    if all(_DECIMAL.fullmatch(name) for name in names) and any(Fraction(n) % 1 for n in names):
        notes.append("labels are numbers with decimals: every value is read as one class")
    rows = sum(counts)
    if len(names) >= MANY_CLASSES and len(names) > rows / ROWS_PER_CLASS:
        notes.append(
            f"there are {len(names):,} classes for {rows:,} rows: check that the label column holds "
            "classes, not texts, numbers or identifiers"
        )
    return notes


def notes_on_texts(rows: Rows, columns: Sequence[str], labels: np.ndarray) -> list[str]:
    """Texts that occur more than once, those of them with different labels, and texts that were
    damaged before they were saved."""
    seen: dict[tuple[str, ...], set[int]] = {}
    repeated: Counter[tuple[str, ...]] = Counter()
    for label, *texts in zip(labels.tolist(), *(rows.columns[c] for c in columns), strict=True):
        key = tuple(texts)
        if key in seen:
            repeated[key] += 1
        seen.setdefault(key, set()).add(label)
    notes = []
    if repeated:
        torn = sum(len(seen[key]) > 1 for key in repeated)
        also = f", {torn:,} of them with different labels" if torn else ""
        notes.append(f"{_count(len(repeated), 'text')} more than once{also}")
    damaged = sum(any(_DAMAGED.search(text) for text in key) for key in seen)
    if damaged:
        notes.append(
            f"{damaged:,} text{'s have' if damaged > 1 else ' has'} wrongly decoded characters (such as \ufffd or Ã©): "
            "check the encoding with which the data was saved"
        )
    return notes


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}s occur" if number > 1 else f"1 {thing} occurs"
