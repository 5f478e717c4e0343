"""What changed between two sets of runs, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.analysis.over_runs.changes import Change
from results.report.document import Cell, Column, Table
from results.report.format import GIB, number
from results.report.writers.terminal import text_table

NOT_RACED = (
    "The two sides were not raced together, so no interval includes how the machine itself changed in "
    "between. To be sure of a small difference in speed, race both in one run."
)


def changes_text(changes: Sequence[Change], titles: Mapping[str, str]) -> str:
    """The table of all changes, and what they cannot tell."""
    if not changes:
        return (
            "nothing to compare: the two sides have no figure of the same task, recipe and backend"
        )
    columns = [
        Column("task", numeric=False),
        Column("backend", numeric=False),
        Column("figure", numeric=False),
        Column("before"),
        Column("after"),
        Column("change"),
        Column("verdict", numeric=False),
    ]
    rows = [_row(change, titles) for change in changes]
    return f"{text_table(Table(columns, rows))}\n{NOT_RACED}"


def broken_text(change: Change, titles: Mapping[str, str]) -> str:
    """One line for a change that breaks a bound."""
    backend = titles.get(change.backend, change.backend)
    subject = f"{change.subject}, {backend}" if backend else change.subject
    return f"{subject}: {change.what} changed by {_amount(change, change.change)}"


def _row(change: Change, titles: Mapping[str, str]) -> list[Cell]:
    interval = change.interval
    span = (
        f"{_amount(change, interval.low)} to {_amount(change, interval.high)}" if interval else ""
    )
    reason = "one measurement each" if change.figure == "memory" else "too few launches or rounds"
    verdict = change.verdict or f"no interval: {reason}"
    return [
        Cell(change.subject),
        Cell(titles.get(change.backend, change.backend)),
        Cell(f"{change.what}{', GiB' if change.figure == 'memory' else ''}"),
        Cell(_value(change, change.before)),
        Cell(_value(change, change.after)),
        Cell(_amount(change, change.change), span),
        Cell(f"{verdict} (paired)" if change.paired else verdict),
    ]


def _value(change: Change, value: float) -> str:
    if change.figure == "memory":
        return number(value / GIB)
    return f"{100 * value:.2f} %" if change.figure == "accuracy" else number(value)


def _amount(change: Change, value: float) -> str:
    return f"{100 * value:+.1f} {'pt' if change.figure == 'accuracy' else '%'}"
