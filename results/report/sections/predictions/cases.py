"""Every case: a prediction next to what was measured or published."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.predictions import error_of, judge
from results.report.columns import backend_cell
from results.report.document import Cell, Column, Table
from results.report.format import GIB, count, gap, number, percent
from results.report.view import View
from results.schema import PredictionCase


def case_table(view: View, cases: Sequence[PredictionCase], caption: str = "") -> Table:
    columns = [
        Column("source", numeric=False, group=True),
        Column("backend", numeric=False),
        Column("model", numeric=False),
        Column("length", "tokens"),
        Column("precision", numeric=False),
        Column("phase", numeric=False),
        Column("question", numeric=False),
        Column("predicted", "range"),
        Column("measured"),
        Column("error", "%"),
        Column("steps", numeric=False),
    ]
    return Table(columns, [_cells(view, case) for case in cases], caption)


def signed_percent(share: float) -> str:
    """In percent, with its sign."""
    return f"+{percent(share)}" if share > 0 else percent(share)


def _cells(view: View, case: PredictionCase) -> list[Cell]:
    architecture = case.architecture if case.architecture != case.checkpoint else ""
    return [
        Cell(case.source, f"other conditions: {case.conditions}" if case.conditions else ""),
        backend_cell(view, case.backend, f"on a {case.device.upper()}"),
        Cell(case.checkpoint, architecture),
        Cell(count(case.length)),
        Cell(case.precision),
        Cell(case.phase, case.setting),
        Cell(_question(case)),
        Cell(
            _amount(case, case.predicted),
            f"{_amount(case, case.low)} to {_amount(case, case.high)}",
        ),
        Cell(_measured(case)),
        _error_cell(case),
        _steps_cell(case),
    ]


def _measured(case: PredictionCase) -> str:
    """'1.2 GiB'; '64, 128 fails'; 'at least 1,024' where nothing failed."""
    measured = _amount(case, case.measured)
    if case.unit == "bytes":
        return measured
    if case.fails_at is None:
        return f"at least {measured}"
    return f"{measured}, {count(case.fails_at)} fails"


def _question(case: PredictionCase) -> str:
    if case.unit == "examples":
        return f"limit within {case.budget}" if case.budget else "limit"
    at = f" at batch {count(case.batch_size)}" if case.batch_size else ""
    over = f" over that at {count(case.over_batch_size)}" if case.over_batch_size else ""
    return f"peak{at}{over}"


def _amount(case: PredictionCase, value: float) -> str:
    if case.unit == "bytes":
        return f"{number(value / GIB)} GiB"
    return number(value, places=0)


def _error_cell(case: PredictionCase) -> Cell:
    error = error_of(case)
    return gap("none") if error is None else Cell(signed_percent(error))


def _steps_cell(case: PredictionCase) -> Cell:
    """'-1 (too low)', '+1 (too high, promise broken)'; empty for a peak."""
    if case.unit == "bytes":
        return Cell("")
    broken = ", promise broken" if judge(case, case.low) == "too high" else ""
    return Cell("" if case.steps is None else f"{case.steps:+}", judge(case) + broken)
