"""Peak memory by batch: the probes of every limit, and the line fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from results.analysis.limits import Grid, Limit
from results.report.charts import Level, Line, Point, lines
from results.report.charts.lines import SMALL_HEIGHT
from results.report.document import (
    Block,
    Details,
    Figure,
    Figures,
    Paragraph,
    without_pictures,
)
from results.report.format import GIB, count
from results.report.sections.limits.grid import limit_text, place_name, place_phrase
from results.report.view import View
from results.schema import MEMORY_OUTCOMES, OUTCOME_TEXT


def plots(view: View, grid: Grid, longest: int) -> list[Block]:
    """A plot per length and backend; those of the `longest` length visible, the others folded."""
    rows = dict.fromkeys(limit.row for limit in grid.limits)
    shown = [_figure(view, grid, row) for row in rows if row[0] == longest]
    folded = [_figure(view, grid, row) for row in rows if row[0] != longest]
    blocks: list[Block] = [
        Paragraph("peak memory by batch.", head=grid.work.text),
        Figures(shown, small=True),
    ]
    if folded:
        details = Details(f"The other lengths: {grid.work.text}", [Figures(folded, small=True)])

        # A site has many; the pages of its runs have their pictures.
        blocks.append(without_pictures(details) if view.machines else details)
    return blocks


def _figure(view: View, grid: Grid, row: tuple[int, str]) -> Figure:
    length, backend = row
    limits = [limit for limit in grid.limits if limit.row == row]
    colour = view.colour(backend)
    points = dict.fromkeys(p for limit in limits for p in _points(limit, colour))
    # The first guesses of a search may be far larger; they would squeeze the others together.
    shown = [p for p in points if p.x <= 1.5 * _largest(limits)]
    hidden = len(points) - len(shown)
    summary = "; ".join(map(_summary, limits)) + _hidden_text(hidden)
    budgets = {limit.found.budget_bytes / GIB: place_name(limit.place) for limit in limits}
    chart = lines(
        [line for limit in limits for line in _fit(limit, colour)],
        "batch",
        "GiB",
        points=shown,
        levels=[Level(y, label) for y, label in budgets.items()],
        height=SMALL_HEIGHT,
        from_zero=True,
    )
    return Figure(f"{view.title(backend)}, length {length}", chart, summary)


def _largest(limits: Sequence[Limit]) -> int:
    """The largest batch that fitted, or the smallest that failed, of any of the limits."""
    batches: list[int | None] = []
    for found in (limit.found for limit in limits):
        batches += [found.limit, found.fails_at]
        batches += [probe.batch_size for probe in found.probes if probe.outcome == "ok"]
    return max((batch for batch in batches if batch), default=1)


def _summary(limit: Limit) -> str:
    text = f"{limit_text(limit)} {place_phrase(limit.place)}"
    fails_at = limit.found.fails_at
    return f"{text}, fails at {count(fails_at)}" if fails_at else text


def _hidden_text(n: int) -> str:
    return "" if not n else f"; {n} probe{'s are' if n > 1 else ' is'} beyond the plot"


def _points(limit: Limit, colour: int) -> list[Point]:
    found, points = limit.found, []
    for probe in found.probes:
        if probe.outcome == "ok" and probe.peak_bytes is not None:
            points.append(Point(probe.batch_size, probe.peak_bytes / GIB, colour, label="fits"))
        elif probe.outcome in MEMORY_OUTCOMES:
            points.append(
                Point(
                    probe.batch_size,
                    found.budget_bytes / GIB,
                    colour,
                    "cross",
                    OUTCOME_TEXT[probe.outcome],
                )
            )
    return points


def _fit(limit: Limit, colour: int) -> list[Line]:
    """From batch 0 to the batch that failed."""
    found = limit.found
    end = found.fails_at or found.limit
    if not end or found.fixed_bytes is None or found.bytes_per_example is None:
        return []
    ys = [found.fixed_bytes / GIB, (found.fixed_bytes + found.bytes_per_example * end) / GIB]
    if not all(map(isfinite, ys)):
        return []
    return [Line(f"fit {place_phrase(limit.place)}", [0, end], ys, colour)]
