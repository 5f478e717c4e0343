"""Tables of every limit and of every probe of its search."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.limits import Limit
from results.report.columns import backend_cell
from results.report.document import Cell, Column, Table
from results.report.format import count, duration, gap, gibibytes
from results.report.sections.limits.grid import limit_note, limit_text, place_name
from results.report.view import View
from results.schema import OUTCOME_TEXT, Probe


def limit_columns(view: View) -> list[Column]:
    """The columns that say whose limit a row holds."""
    heads = ["work", *(["run"] if view.several_runs else [])]
    return [
        *[Column(name, numeric=False, group=True) for name in heads],
        Column("backend", numeric=False),
        Column("length", "tokens"),
    ]


def limit_cells(view: View, limit: Limit) -> list[Cell]:
    return [
        Cell(limit.work.text),
        *([Cell(limit.run)] if view.several_runs else []),
        backend_cell(view, limit.measurement.job.backend),
        Cell(count(limit.row[0])),
    ]


def limit_table(view: View, limits: Sequence[Limit]) -> Table:
    columns = [
        *limit_columns(view),
        Column("budget"),
        Column("known", numeric=False),
        Column("limit"),
        Column("fails at"),
        Column("step"),
        Column("probes"),
        Column("time"),
        Column("outcomes", numeric=False),
    ]
    rows = [[*limit_cells(view, limit), *_result_cells(limit)] for limit in limits]
    return Table(columns, rows, "Every limit: the batch that fits, and the next one, which failed")


def _result_cells(limit: Limit) -> list[Cell]:
    found = limit.found
    budget = f"{gibibytes(found.budget_bytes)} GiB" if limit.place.is_type else ""
    notes = [f"enforced by {found.enforced_by}", *_expectation(limit), *found.notes]
    if found.fails_at is not None:
        fails_at = Cell(count(found.fails_at))
    else:
        fails_at = gap("nothing failed" if found.limit is not None else "not_run")
    return [
        Cell(place_name(limit.place), budget),
        Cell(limit.kind, "; ".join(notes)),
        _limit_cell(limit),
        fails_at,
        Cell("" if limit.step is None else count(limit.step)),
        Cell(count(len(found.probes))),
        Cell(duration(found.seconds)),
        Cell(_outcomes(found.probes)),
    ]


def _expectation(limit: Limit) -> list[str]:
    expected = limit.found.expected
    return [f"searched first near {count(expected.limit)} ({expected.source})"] if expected else []


def _limit_cell(limit: Limit) -> Cell:
    if limit.found.limit is None:
        return Cell("not found", limit.measurement.reason or "", "gap")
    return Cell(limit_text(limit), limit_note(limit))


def _outcomes(probes: Sequence[Probe]) -> str:
    """'3 fits, 1 out of memory'."""
    seen = [probe.outcome for probe in probes]
    return ", ".join(f"{seen.count(one)} {OUTCOME_TEXT[one]}" for one in dict.fromkeys(seen))


def probe_table(view: View, limits: Sequence[Limit]) -> Table:
    columns = [
        *limit_columns(view),
        Column("budget", numeric=False),
        Column("batch"),
        Column("outcome", numeric=False),
        Column("peak", "GiB"),
        Column("steps"),
        Column("time"),
        Column("reason", numeric=False),
    ]
    rows = [
        [
            *limit_cells(view, limit),
            Cell(place_name(limit.place)),
            Cell(count(probe.batch_size)),
            Cell(OUTCOME_TEXT[probe.outcome]),
            Cell(gibibytes(probe.peak_bytes)) if probe.peak_bytes is not None else gap("none"),
            Cell(count(probe.steps)),
            Cell(duration(probe.seconds)),
            Cell(probe.reason or ""),
        ]
        for limit in limits
        for probe in limit.found.probes
    ]
    return Table(columns, rows)
