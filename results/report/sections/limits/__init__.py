"""What is the largest batch? The grid of what fits where, and the search behind every limit."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.limits import Grid, Place, Spot
from results.report.document import Block, Details, Paragraph, Section
from results.report.format import count, listed
from results.report.provenance import labels, unique
from results.report.sections.limits.fits import longest
from results.report.sections.limits.grid import (
    fewer_than,
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
    """A prediction is of any task: the same table comes once."""
    found: list[Block] = []
    for block in (
        block for grid in grids for block in (*grid_tables(view, grid), *prediction_notes(grid))
    ):
        found += [block] if block not in found else []
    return found


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
    return [block for grid in grids if grid.limits for block in plots(view, grid, longest(grid))]


def first_lines(view: View) -> list[Block]:
    """A sentence per grid, with how each figure in it is known."""
    heads: dict[str, list[str]] = {}
    for grid in main_grids(view)[:FIRST_LINES]:
        if grid.spots:
            heads.setdefault(_sentence(view, grid), []).append(_head(grid))
    blocks: list[Block] = [
        Paragraph(text, "lead", "; ".join(subjects)) for text, subjects in heads.items()
    ]
    if len(view.grids) > FIRST_LINES:
        text = (
            f"{count(len(view.grids))} combinations of task, checkpoint and precision were searched "
            "or predicted; the tables have them all."
        )
        blocks.append(Paragraph(text, "small"))
    return blocks


def _head(grid: Grid) -> str:
    return f"{grid.work.text}, length {longest(grid)}"


def _sentence(view: View, grid: Grid) -> str:
    """'The largest batch within 8 GiB is 12 with TensorFlow and 18 with PyTorch (measured); on a T4, about
    43 with TensorFlow (predicted).'"""
    found = [one for kind in KINDS if (one := _in_one_place(view, grid, kind))]
    if not found:
        return "The largest batch was not found: no search was completed."
    (place, batches), *others = found
    more = "".join(f"; {where}, {what}" for where, what in others)
    return f"The largest batch {place} is {batches}{more}."


def _in_one_place(view: View, grid: Grid, kind: str) -> tuple[str, str] | None:
    """In the largest place that was searched, or in the smallest one that was predicted."""
    length = longest(grid)
    found: list[tuple[str, str]] = []
    for place in grid.places:
        spots = [
            (backend, grid.spots.get((length, backend, place)))
            for row, backend in grid.rows
            if row == length
        ]
        texts = [
            f"{text} with {view.title(backend)}{_more(grid, (length, backend, place))}"
            for backend, spot in spots
            if spot and spot.kind == kind and (text := _short(spot))
        ]
        if texts:
            on_cpu = " on a CPU" if place.device == "cpu" and place.name else ""
            found.append((f"{place_phrase(place)}{on_cpu}", f"{listed(texts)} ({kind})"))
    if not found:
        return None
    return found[0] if kind == "predicted" else found[-1]


def _more(grid: Grid, key: tuple[int, str, Place]) -> str:
    """' (15 within 6 GiB)', where less memory fitted more."""
    more = fewer_than(grid, key)
    return f" ({limit_text(more)} {place_phrase(more.place)})" if more else ""


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
