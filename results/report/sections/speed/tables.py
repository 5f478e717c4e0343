"""The speed of evaluation, and every window of training."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import Row
from results.analysis.speed import Rate
from results.report.columns import key_cells, key_columns
from results.report.document import Block, Cell, Column, Table
from results.report.format import number, percent
from results.report.sections.overview import rate_notes
from results.report.sections.speed.ratios import ratio_cell
from results.report.view import View


def evaluation_table(view: View, timed: Sequence[Sequence[Row]]) -> list[Block]:
    rows = [
        (
            r,
            r.speed.evaluation,
            [o.speed.evaluation for o in same if o.speed and o.speed.evaluation],
        )
        for same in timed
        for r in same
        if r.speed and r.speed.evaluation
    ]
    columns = [
        *key_columns(view),
        Column("evaluation", "batches/s"),
        Column("times as fast", "as the slowest"),
        Column("samples", "1/s"),
        Column("tokens", "1/s"),
        Column("padding", "%"),
    ]
    table = Table(
        columns,
        [
            [
                *key_cells(view, row),
                Cell(number(rate.steps_per_second), ", ".join(rate_notes(rate))),
                _evaluation_ratio(rate, rates),
                Cell(number(rate.samples_per_second)),
                Cell(number(rate.tokens_per_second)),
                Cell(percent(rate.padding_share)),
            ]
            for row, rate, rates in rows
        ],
        "Evaluation speed",
    )
    return [table] if rows else []


def _evaluation_ratio(rate: Rate, rates: Sequence[Rate]) -> Cell:
    slowest = min(rates, key=lambda r: r.samples_per_second)
    return Cell("1") if rate is slowest else ratio_cell(rate, slowest)


def windows_table(view: View, timed: Sequence[Sequence[Row]]) -> Table:
    """Every window by launch and round, also those of a round that was taken again."""
    rows = []
    rates = [(row, row.speed.training) for same in timed for row in same if row.speed]
    for row, rate in rates:
        counted = list(zip(rate.turns, rate.timed, strict=True))
        for turn in dict.fromkeys(turn for turn, _ in counted):
            first = [number(w.steps / w.seconds) for t, w in rate.superseded if t == turn]
            values = [number(w.steps / w.seconds) for t, w in counted if t == turn]
            rows.append(
                [
                    *key_cells(view, row),
                    Cell(str(turn[1] + 1)),
                    Cell(str(turn[2] + 1)),
                    Cell(", ".join(values)),
                    Cell(", ".join(first)),
                ]
            )
    columns = [Column("launch"), Column("round"), Column("windows", "steps/s", False)]
    disturbed = Column("disturbed, taken again", "steps/s", False)
    return Table([*key_columns(view), *columns, disturbed], rows)
