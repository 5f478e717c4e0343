"""What fits where, GPU types down and backends across, and how machines compare in speed."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import Row
from results.analysis.limits import Grid, Spot
from results.analysis.reference import published_speeds
from results.report.charts import Point, lines
from results.report.charts.lines import SMALL_HEIGHT, Shape
from results.report.columns import backend_cell
from results.report.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Legend,
    Paragraph,
    Section,
    Table,
)
from results.report.format import GIB, count, gap, number
from results.report.sections.limits.fits import longest
from results.report.sections.limits.grid import limit_text, main_grids, place_name
from results.report.view import View


def section(view: View) -> Section | None:
    grids = [grid for grid in main_grids(view) if len(grid.places) > 1]
    blocks: list[Block] = [
        block
        for grid in grids
        for block in (Figures(_figures(view, grid), small=True), places_table(view, grid))
    ]
    if blocks:
        text = (
            "Measured: that batch trained, and the next one ran out of memory. Emulated: the same, "
            "with less memory than the GPU has. Predicted: estimated without training; the lower end "
            "of the range is promised to fit."
        )
        blocks.append(Paragraph(text, "small"))
    measured = _speeds(view)
    if not blocks and not measured:
        return None
    blocks += [*measured, *_published_speeds()]
    return Section("What fits where, and how machines compare", "machines", blocks)


def places_table(view: View, grid: Grid) -> Table:
    """The longest length that was searched, else the longest predicted."""
    length = longest(grid)
    backends = [backend for row, backend in grid.rows if row == length]
    columns = [
        Column("device", numeric=False),
        Column("memory", "GiB"),
        *[Column(view.title(backend), "batch") for backend in backends],
    ]
    rows = []
    for place in grid.places:
        spots = [grid.spots.get((length, backend, place)) for backend in backends]
        if any(spots):
            name = f"{place_name(place)}{'' if place.is_type else f' on a {place.device.upper()}'}"
            cells = [_cell(spot) if spot else gap("not_asked") for spot in spots]
            rows.append([Cell(name), _memory(spots), *cells])
    return Table(columns, rows, f"Largest batch at length {count(length)}: {grid.work.text}")


def _figures(view: View, grid: Grid) -> list[Figure]:
    """The largest batch by memory at the table's length, one chart per backend."""
    length = longest(grid)
    return [_figure(view, grid, length, backend) for row, backend in grid.rows if row == length]


def _figure(view: View, grid: Grid, length: int, backend: str) -> Figure:
    colour, points, words = view.colour(backend), [], []
    for place in grid.places:
        spot = grid.spots.get((length, backend, place))
        batch, cell = (_batch(spot), _cell(spot)) if spot else (None, None)
        if not spot or batch is None or cell is None:
            continue
        shape: Shape = "ring" if spot.kind == "predicted" else "dot"
        text = f"{place_name(place)}: {cell.text} ({cell.note})"
        points.append(Point(_bytes([spot]) / GIB, batch, colour, shape, text))
        words.append(text)
    chart = lines(
        [], "memory, GiB", "largest batch", points=points, height=SMALL_HEIGHT, from_zero=True
    )
    kinds: dict[Shape, str] = {"dot": "measured", "ring": "predicted"}
    legend = [
        Legend(kind, colour, shape)
        for shape, kind in kinds.items()
        if any(p.shape == shape for p in points)
    ]
    return Figure(f"{view.title(backend)}, length {count(length)}", chart, "; ".join(words), legend)


def _batch(spot: Spot) -> int | None:
    """The largest that was proven, else the predicted one."""
    found = [limit.found.limit for limit in spot.limits if limit.found.limit is not None]
    if found or not spot.predicted:
        return max(found, default=None)
    return spot.predicted.limit


def _memory(spots: Sequence[Spot | None]) -> Cell:
    size = _bytes(spots)
    return Cell(number(size / GIB)) if size else gap(None)


def _bytes(spots: Sequence[Spot | None]) -> int:
    """The memory of a place; 0 where nothing is known."""
    sizes = [
        size
        for spot in spots
        if spot
        for size in [
            *(limit.found.budget_bytes for limit in spot.limits),
            *([spot.predicted.budget_bytes] if spot.predicted else []),
        ]
    ]
    return max(sizes, default=0)


def _cell(spot: Spot) -> Cell:
    if not spot.limits and spot.predicted:
        low, high = count(spot.predicted.low), count(spot.predicted.high)
        return Cell(count(spot.predicted.limit), f"predicted, {low} to {high}", "predicted")
    texts = dict.fromkeys(limit_text(limit) for limit in spot.limits)
    return Cell(" / ".join(texts), spot.kind, spot.kind)


def _speeds(view: View) -> list[Block]:
    """Speeds of the same work on several machines, as ratios to the slowest."""
    if view.machines < 2:
        return []
    works: dict[tuple[str, str, str, str], list[Row]] = {}
    for rows in view.comparisons:
        for row in (row for row in rows if row.speed):
            recipe = row.speed.group.recipe if row.speed else {}
            setting = (
                f"{recipe.get('precision')}, length {recipe.get('length')}, "
                f"batch {recipe.get('batch_size')}"
            )
            key = (row.comparison.task, row.comparison.varied_text, setting, row.backend)
            works.setdefault(key, []).append(row)
    rows_of_table = [
        cells
        for key, rows in works.items()
        if len(rows) > 1
        for cells in _speed_rows(view, key, rows)
    ]
    if not rows_of_table:
        return []
    columns = [
        Column("task", numeric=False),
        Column("recipe", numeric=False),
        Column("backend", numeric=False),
        Column("machine", numeric=False),
        Column("training", "steps/s"),
        Column("times as fast", "as the slowest"),
        Column("evaluation", "steps/s"),
        Column("times as fast", "as the slowest"),
    ]
    text = (
        "Two machines cannot be raced together: these ratios have no interval, and differences in "
        "drivers, versions and cooling are part of them."
    )
    return [Table(columns, rows_of_table, "Speed across machines"), Paragraph(text, "small")]


def _published_speeds() -> list[Block]:
    columns = [
        Column("model", numeric=False),
        Column("precision", numeric=False),
        Column("GPU", numeric=False),
        Column("batch"),
        Column("training", "samples/s"),
        Column("times as fast", "as the slowest"),
        Column("source", numeric=False),
    ]
    rows = [
        [
            Cell(f"{speed.model}, length {count(speed.length)}"),
            Cell(figure.precision),
            Cell(gpu),
            Cell(count(figure.batch_size)),
            Cell(number(figure.samples_per_second)),
            Cell(number(figure.samples_per_second / speed.slowest)),
            Cell(speed.source),
        ]
        for speed in published_speeds()
        for gpu, figure in speed.gpus.items()
    ]
    text = (
        "Quoted from their sources, not measured here: another model and task, so only the ratios say "
        "something about the GPU types."
    )
    return [Table(columns, rows, "Published speeds of fine-tuning"), Paragraph(text, "small")]


def _speed_rows(
    view: View, key: tuple[str, str, str, str], rows: Sequence[Row]
) -> list[list[Cell]]:
    task, varied, setting, backend = key
    speeds = [
        (row, row.speed.training.steps_per_second, _evaluation(row)) for row in rows if row.speed
    ]
    slowest = min(training for _, training, _ in speeds)
    slowest_evaluation = min((e for _, _, e in speeds if e), default=None)
    return [
        [
            Cell(f"{task}, {varied}" if varied else task),
            Cell(setting),
            backend_cell(view, backend),
            Cell(row.comparison.run),
            Cell(number(training)),
            Cell(number(training / slowest)),
            Cell(number(evaluation)) if evaluation else gap("not_run"),
            Cell(number(evaluation / slowest_evaluation))
            if evaluation and slowest_evaluation
            else Cell(""),
        ]
        for row, training, evaluation in sorted(speeds, key=lambda one: one[1])
    ]


def _evaluation(row: Row) -> float | None:
    """Batches per second; None where evaluation was not timed."""
    rate = row.speed.evaluation if row.speed else None
    return rate.steps_per_second if rate else None
