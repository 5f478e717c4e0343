"""What is the largest batch? The grid of what fits where, and the search behind every limit."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.limits import Grid, Spot
from results.report.document import Block, Details, Paragraph, Section
from results.report.format import count
from results.report.provenance import labels, unique
from results.report.sections.limits.grid import (
    grid_tables,
    limit_text,
    main_grids,
    place_phrase,
    prediction_notes,
)
from results.report.sections.limits.plots import plots
from results.report.sections.limits.searches import limit_table, probe_table
from results.report.view import View

FEW = 12  # rows of a table that is not folded
STUDIES = "Checkpoints with random weights, for studies"
FIRST_LINES = 3  # grids that the first screen has a sentence for
KINDS = {
    "measured": "measured",
    "emulated": "emulated (less memory than the GPU has)",
    "predicted": "predicted",
}


def section(view: View) -> Section | None:
    if not view.grids:
        return None
    main = main_grids(view)
    others = [grid for grid in view.grids if grid not in main]
    blocks = _tables(view, main)
    blocks += [Details(STUDIES, _tables(view, others))] if others else []
    blocks.append(
        Paragraph(
            "Each cell shows the largest batch and how it is known. Measured: proven by two new "
            "processes; one completed its steps at this batch, the other failed at the next batch of "
            "the search (1 example larger; above 64, about 5 %). Emulated: the same, with a budget "
            "below the GPU's memory. Predicted: estimated without training, with a 95 % interval; "
            "its lower end is the size that the prediction promises to fit. An assumed range is one "
            "that no measured case supports.",
            "small",
        )
    )
    if view.limits:
        blocks += _searches(view)
    return Section("What is the largest batch?", "limits", [*blocks, *_labels(view)])


def _tables(view: View, grids: Sequence[Grid]) -> list[Block]:
    return [
        block for grid in grids for block in (*grid_tables(view, grid), *prediction_notes(grid))
    ]


def _searches(view: View) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(
            "The plots show peak memory by batch. A dot is a probe that completed its steps. A cross "
            "is one that ran out of memory: it has no peak and is drawn on the line of its budget. "
            "The solid line is fitted to the dots, and the dashed lines are the budgets.",
            "small",
        )
    ]
    main = main_grids(view)
    blocks += _plots(view, main)
    others = _plots(view, [grid for grid in view.grids if grid not in main])
    blocks += [Details(f"{STUDIES}: charts", others)] if others else []
    table = limit_table(view, view.limits)
    blocks.append(table if len(table.rows) <= FEW else Details("Every limit", [table]))
    blocks.append(Details("Every probe", [probe_table(view, view.limits)]))
    return blocks


def _plots(view: View, grids: Sequence[Grid]) -> list[Block]:
    return [block for grid in grids if grid.limits for block in plots(view, grid, _longest(grid))]


def first_lines(view: View) -> list[Block]:
    """A sentence per grid, with how each figure in it is known."""
    blocks: list[Block] = [
        Paragraph(_sentence(view, grid), "lead", _head(grid))
        for grid in main_grids(view)[:FIRST_LINES]
        if grid.spots
    ]
    if len(view.grids) > FIRST_LINES:
        text = (
            f"{count(len(view.grids))} combinations of task, checkpoint and precision were searched "
            "or predicted: see 'What is the largest batch?'."
        )
        blocks.append(Paragraph(text, "small"))
    return blocks


def _longest(grid: Grid) -> int:
    """The longest length that was searched, or at least predicted."""
    searched = [length for (length, _, _), spot in grid.spots.items() if spot.limits]
    return max(searched or [length for length, _, _ in grid.spots])


def _head(grid: Grid) -> str:
    return f"{grid.work.text}, length {_longest(grid)}"


def _sentence(view: View, grid: Grid) -> str:
    length = _longest(grid)
    backends = [backend for row, backend in grid.rows if row == length]
    parts = [
        f"{view.title(backend)} fits {words}"
        for backend in backends
        if (words := _fits(grid, length, backend))
    ]
    return f"The largest batch: {'; '.join(parts) or 'no search was completed'}."


def _fits(grid: Grid, length: int, backend: str) -> str:
    """'20 within 4 GiB to 48 within 8 GiB (measured), about 21 on a T4 to about 310 on an H100
    (predicted)'."""
    spots = [
        (place, spot) for place in grid.places if (spot := grid.spots.get((length, backend, place)))
    ]
    parts = []
    for kind in KINDS:
        texts = [
            f"{text} {place_phrase(place)}"
            for place, spot in spots
            if spot.kind == kind and (text := _short(spot))
        ]
        if texts:
            parts.append(f"{' to '.join([texts[0], *texts[1:][-1:]])} ({kind})")
    return ", ".join(parts)


def _short(spot: Spot) -> str:
    """'34', 'none', 'about 21'; empty where no limit was found."""
    if not spot.limits and spot.predicted:
        return f"about {count(spot.predicted.limit)}"
    found = [limit for limit in spot.limits if limit.found.limit is not None]
    return " / ".join(
        unique(
            limit_text(limit).replace("\u2265", "at least") if limit.found.limit else "none"
            for limit in found
        )
    )


def _labels(view: View) -> list[Block]:
    shown = {spot.kind for grid in view.grids for spot in grid.spots.values()}
    shown |= {"predicted" for grid in view.grids for spot in grid.spots.values() if spot.predicted}
    how = ", ".join(text for kind, text in KINDS.items() if kind in shown).capitalize()
    if view.limits:
        return labels(view, "batch_limit", how=how)
    return [Paragraph(f"{how}: nothing was trained.", "small")]
