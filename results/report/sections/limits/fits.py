"""What fits, at a glance: one row per place, with measured limits and predicted ones apart."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.limits import Grid, Kind, Limit, Place, Spot
from results.report.document import Block, Cell, Column, Paragraph, Table
from results.report.format import count, gap, gibibytes
from results.report.sections.limits.grid import (
    fewer_than,
    fewer_words,
    limit_text,
    main_grids,
    place_name,
)
from results.report.view import View

MOST_GRIDS = 3
KIND_TEXT: dict[Kind, str] = {
    "measured": "Measured",
    "emulated": "Emulated, with less memory than the GPU has",
    "predicted": "Predicted, nothing was trained there",
}
Line = tuple[str, list[Cell]]  # its heading, and its other cells


def fits_tables(view: View) -> list[Block]:
    """The largest batch at the longest length of the first works; empty where nothing was searched or
    predicted."""
    grids = [grid for grid in main_grids(view)[:MOST_GRIDS] if grid.spots]
    backends = [
        backend
        for backend in view.backends
        if any((longest(grid), backend) in grid.rows for grid in grids)
    ]
    lines = [line for grid in grids for line in _lines(grid, backends)]
    if not lines:
        return []
    columns = [
        Column("how", numeric=False, group=True),
        Column("where", numeric=False),
        *[Column(view.title(backend), "batch") for backend in backends],
    ]
    # A prediction is of any task: the same rows come once.
    order = {text: i for i, text in enumerate(dict.fromkeys(heading for heading, _ in lines))}
    unique = {
        (heading, tuple((cell.text, cell.tone) for cell in cells)): cells
        for heading, cells in lines
    }
    rows = [[Cell(heading), *cells] for (heading, _), cells in unique.items()]
    rows.sort(key=lambda row: (row[0].text.startswith(KIND_TEXT["predicted"]), order[row[0].text]))
    return [Table(columns, rows, "The largest batch that fits"), *_notes(grids)]


def _notes(grids: Sequence[Grid]) -> list[Block]:
    """What makes limits differ that look comparable."""
    if not any(grid.limits for grid in grids):
        return []
    text = ""
    if any(limit.place.device == "cpu" for grid in grids for limit in grid.limits):
        text = (
            "Do not compare a CPU with a GPU here: on a CPU the budget includes the framework itself (the "
            "page about memory leaves it out), and a CPU's kernels need other memory than a GPU's."
        )
    if any(fewer_than(grid, key) for grid in grids for key in grid.spots):
        text += (
            " Fewer within more memory: TensorFlow's pool on a CPU grows by regions that double in size. "
            "If the budget has no room for the next region, the training ends, even if much of the pool is "
            "unused."
        )
    return [Paragraph(text.strip(), "small")] if text else []


def longest(grid: Grid) -> int:
    """The longest length that was searched, or at least predicted."""
    searched = [length for (length, _, _), spot in grid.spots.items() if spot.limits]
    return max(searched or [length for length, _, _ in grid.spots], default=0)


def _lines(grid: Grid, backends: Sequence[str]) -> list[Line]:
    length = longest(grid)
    found = []
    for place in grid.places:
        spots = [grid.spots.get((length, backend, place)) for backend in backends]
        kinds = {spot.kind for spot in spots if spot}
        if not kinds:
            continue
        kind = next(kind for kind in KIND_TEXT if kind in kinds)
        cells = [
            _cell(spot, kind, fewer_than(grid, (length, backend, place)))
            if spot
            else gap("not_asked")
            for backend, spot in zip(backends, spots, strict=True)
        ]
        found.append((_heading(grid, kind, length), [_where(place, spots), *cells]))
    return found


def _heading(grid: Grid, kind: Kind, length: int) -> str:
    """A prediction is of any task that has the model."""
    work = grid.work.text
    if kind == "predicted" and grid.work.task:
        work = work.removeprefix(f"{grid.work.task}, ")
    return f"{KIND_TEXT[kind]}: {work}, length {count(length)}"


def _where(place: Place, spots: Sequence[Spot | None]) -> Cell:
    """'8 GiB', on a CPU; 'T4', 14.42 GiB."""
    name = place_name(place)
    if not place.is_type:
        return Cell(name, f"on a {place.device.upper()}")
    predicted = [spot.predicted.budget_bytes for spot in spots if spot and spot.predicted]
    budgets = [limit.found.budget_bytes for spot in spots if spot for limit in spot.limits]
    size = max([*predicted, *budgets], default=0)
    return Cell(name, f"{gibibytes(size)} GiB" if size else "")


def _cell(spot: Spot, kind: Kind, more: Limit | None) -> Cell:
    """With a prediction's range, and how the batch is known where the row's other cells are known in
    another way."""
    notes: list[str] = [] if spot.kind == kind else [spot.kind]
    if not spot.limits and spot.predicted:
        notes.append(f"{count(spot.predicted.low)} to {count(spot.predicted.high)}")
        return Cell(count(spot.predicted.limit), ", ".join(notes), "predicted")
    notes += [fewer_words(more)] if more else []
    texts = dict.fromkeys(limit_text(limit) for limit in spot.limits)
    return Cell(" / ".join(texts), ", ".join(notes), spot.kind)
