"""What is the largest batch? The grid of what fits where, and the line behind every limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite

from results.analysis.limits import Grid, Limit, Place, Spot
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Figure,
    Figures,
    Paragraph,
    Section,
    Table,
)
from results.report.format import GIB, STATUS_TEXT, count, duration, gap, gibibytes, listed
from results.report.provenance import labels, unique
from results.report.view import View
from results.report.writers.plots import SMALL_HEIGHT, Level, Line, Point, lines
from results.schema import MEMORY_OUTCOMES, PredictedLimit, Probe

OUTCOME_TEXT = {
    "ok": "fits",
    "oom": "out of memory",
    "host_oom": "ended by the kernel",
    "disguised_oom": "out of memory under another name",
    "timeout": "timed out",
    "error": "another error",
}
FEW = 12  # rows of a table that is not folded away
FIRST_LINES = 3  # works that the first screen has a sentence for
KINDS = {
    "measured": "measured",
    "emulated": "emulated (less memory than the GPU has)",
    "predicted": "predicted",
}


def section(view: View) -> Section | None:
    if not view.grids:
        return None
    blocks: list[Block] = [
        block for grid in view.grids for block in (grid_table(view, grid), *_predicted_notes(grid))
    ]
    blocks.append(
        Paragraph(
            "Each cell is the largest batch, and how that is known. A measured limit is proven: a "
            "fresh process took its steps at it, and another failed one step on (1 example, above "
            "64 about 5 %). Emulated is a budget below the GPU's memory. Predicted is told "
            "without training, with a 95 % interval, whose lower end is what is promised; where no "
            "measured case stands behind it, with an assumed range.",
            "small",
        )
    )
    if view.limits:
        blocks += [
            Paragraph(
                "Below, peak memory against the batch. Dots took their steps; crosses ran out of "
                "memory and have no peak, so they stand on the line of their budget; the line is the "
                "fit of the dots; dashed lines are budgets.",
                "small",
            )
        ]
        blocks += [block for grid in view.grids if grid.limits for block in _lines(view, grid)]
        table = _limit_table(view)
        blocks += [
            table if len(table.rows) <= FEW else Details("Every limit", [table]),
            Details("Every probe", [_probe_table(view)]),
        ]
    return Section("What is the largest batch?", "limits", [*blocks, *_labels(view)])


def first_lines(view: View) -> list[Block]:
    """A sentence per work, and how each figure in it is known."""
    said: list[Block] = [
        Paragraph(_sentence(view, grid), "lead", _head(grid))
        for grid in view.grids[:FIRST_LINES]
        if grid.spots
    ]
    if len(view.grids) > FIRST_LINES:
        said.append(
            Paragraph(
                f"The largest batches of {count(len(view.grids))} works stand "
                "under 'What is the largest batch?'.",
                "small",
            )
        )
    return said


def name(place: Place) -> str:
    """'6 GiB', 'T4', 'whole machine'."""
    return re.sub(r"(?<=[0-9])(?=[KMGT]i?B$)", " ", place.name) or "whole machine"


def where(place: Place) -> str:
    """'within 6 GiB', 'on a T4', 'on the whole machine'."""
    if not place.name:
        return f"on the {name(place)}"
    if not place.is_type:
        return f"within {name(place)}" + (" of a GPU" if place.device == "gpu" else "")
    # Letters whose names begin with a vowel.
    return f"on {'an' if place.name[0] in 'AEFHILMNORSX' else 'a'} {name(place)}"


def _longest(grid: Grid) -> int:
    """The longest length that was searched, or at least predicted."""
    searched = [length for (length, _, _), spot in grid.spots.items() if spot.limits]
    return max(searched or [length for length, _, _ in grid.spots])


def _head(grid: Grid) -> str:
    return f"{grid.work.text}, length {_longest(grid)}"


def _sentence(view: View, grid: Grid) -> str:
    length = _longest(grid)
    backends = [backend for row, backend in grid.rows if row == length]
    said = [
        f"{view.title(backend)} fits {words}"
        for backend in backends
        if (words := _fits(grid, length, backend))
    ]
    return f"The largest batch: {'; '.join(said) or 'no search came to its end'}."


def _fits(grid: Grid, length: int, backend: str) -> str:
    """'20 within 4 GiB to 48 within 8 GiB (measured), about 21 on a T4 to about 310 on an H100
    (predicted)'."""
    spots = [
        (place, spot) for place in grid.places if (spot := grid.spots.get((length, backend, place)))
    ]
    said = []
    for kind in KINDS:
        texts = [
            f"{text} {where(place)}"
            for place, spot in spots
            if spot.kind == kind and (text := _short(spot))
        ]
        said += [f"{' to '.join([texts[0], *texts[1:][-1:]])} ({kind})"] if texts else []
    return ", ".join(said)


def _short(spot: Spot) -> str:
    """'34', 'none', 'about 21'; nothing where no limit was found."""
    if not spot.limits and spot.predicted:
        return f"about {count(spot.predicted.limit)}"
    found = [limit for limit in spot.limits if limit.found.limit is not None]
    return " / ".join(
        unique(
            limit_text(limit).replace("\u2265", "at least") if limit.found.limit else "none"
            for limit in found
        )
    )


def grid_table(view: View, grid: Grid) -> Table:
    columns = [
        Column("length", "tokens"),
        Column("backend", numeric=False),
        *[Column(name(place), place.device.upper()) for place in grid.places],
    ]
    rows = []
    for length, backend in grid.rows:
        spots = [grid.spots.get((length, backend, place)) for place in grid.places]
        why = grid.gaps.get((length, backend), "not_asked")
        rows.append(
            [
                Cell(count(length)),
                _who(view, backend),
                *[_spot_cell(view, spot) if spot else gap(why) for spot in spots],
            ]
        )
    return Table(columns, rows, f"What fits where: {grid.work.text}, largest batch")


def _spot_cell(view: View, spot: Spot) -> Cell:
    told = spot.predicted
    if not spot.limits:
        assert told is not None
        return Cell(count(told.limit), f"predicted, {_range(spot, told)}", "predicted")
    found = any(limit.found.limit is not None for limit in spot.limits)
    notes = [spot.kind] * found + unique(_limit_note(limit) for limit in spot.limits)
    if len(spot.limits) > 1 and view.several_runs:
        notes.append(listed([limit.run for limit in spot.limits]))
    if told:
        notes.append(f"predicted {count(told.limit)} ({_range(spot, told)})")
    return Cell(_spot_text(spot), ", ".join(notes), spot.kind if found else "gap")


def _range(spot: Spot, told: PredictedLimit) -> str:
    return "assumed range " * spot.assumed + f"{count(told.low)} to {count(told.high)}"


def _predicted_notes(grid: Grid) -> list[Block]:
    """What the budgets of predictions rest on, where no reading is at hand."""
    named: dict[str, dict[str, None]] = {}
    for (_, _, place), spot in grid.spots.items():
        if spot.predicted and spot.predicted.note:
            named.setdefault(spot.predicted.note, {})[name(place)] = None
    return [Paragraph(f"{listed(list(names))}: {note}.", "small") for note, names in named.items()]


def _spot_text(spot: Spot) -> str:
    """'34'; both where two searches differ."""
    return " / ".join(unique(limit_text(limit) for limit in spot.limits))


def limit_text(limit: Limit) -> str:
    found = limit.found
    if found.limit is None:
        return "not found"
    if found.limit == 0:
        return "0: not even one"
    return count(found.limit) if found.fails_at is not None else f"\u2265 {count(found.limit)}"


def _limit_note(limit: Limit) -> str:
    """What a limit's number does not say by itself."""
    found = limit.found
    if found.limit is None:
        fitted = max((p.batch_size for p in found.probes if p.outcome == "ok"), default=None)
        status = STATUS_TEXT.get(limit.measurement.status, "")
        return ", ".join(
            [*[status] * bool(status), *[f"{count(fitted or 0)} fitted"] * (fitted is not None)]
        )
    if found.limit == 0:
        return f"needs about {gibibytes(found.needed_bytes)} GiB" if found.needed_bytes else ""
    if found.limit is not None and found.fails_at is None:
        return f"no failure up to {count(found.highest)}"
    return ""


def _lines(view: View, grid: Grid) -> list[Block]:
    """A plot per length and backend; the longest length in sight, the others folded away."""
    rows = dict.fromkeys(limit.row for limit in grid.limits)
    longest = _longest(grid)
    shown = [_figure(view, grid, row) for row in rows if row[0] == longest]
    folded = [_figure(view, grid, row) for row in rows if row[0] != longest]
    blocks: list[Block] = [
        Paragraph("peak memory by batch.", head=grid.work.text),
        Figures(shown, small=True),
    ]
    if folded:
        blocks.append(
            Details(f"The other lengths: {grid.work.text}", [Figures(folded, small=True)])
        )
    return blocks


def _figure(view: View, grid: Grid, row: tuple[int, str]) -> Figure:
    length, backend = row
    limits = [limit for limit in grid.limits if limit.row == row]
    colour = view.colour(backend)
    points = dict.fromkeys(p for limit in limits for p in _points(limit, colour))
    # The first guesses of a search may lie far beyond; they would press the rest together.
    end = 1.5 * max(
        (
            batch
            for limit in limits
            for batch in (
                limit.found.limit,
                limit.found.fails_at,
                *(p.batch_size for p in limit.found.probes if p.outcome == "ok"),
            )
            if batch
        ),
        default=1,
    )
    shown = [p for p in points if p.x <= end]
    summary = "; ".join(
        f"{limit_text(limit)} {where(limit.place)}"
        + (f", fails at {count(limit.found.fails_at)}" if limit.found.fails_at else "")
        for limit in limits
    ) + _hidden(len(points) - len(shown))
    budgets = {limit.found.budget_bytes / GIB: name(limit.place) for limit in limits}
    svg = lines(
        [line for limit in limits for line in _fit(limit, colour)],
        "batch",
        "GiB",
        points=shown,
        levels=[Level(y, label) for y, label in budgets.items()],
        height=SMALL_HEIGHT,
        from_zero=True,
    )
    return Figure(f"{view.title(backend)}, length {length}", svg, summary)


def _hidden(n: int) -> str:
    return "" if not n else f"; {n} probe{'s lie' if n > 1 else ' lies'} beyond the plot"


def _points(limit: Limit, colour: int) -> list[Point]:
    found, points = limit.found, []
    for probe in found.probes:
        if probe.outcome == "ok" and probe.peak_bytes is not None:
            points.append(Point(probe.batch_size, probe.peak_bytes / GIB, colour))
        elif probe.outcome in MEMORY_OUTCOMES:
            points.append(Point(probe.batch_size, found.budget_bytes / GIB, colour, "cross"))
    return points


def _fit(limit: Limit, colour: int) -> list[Line]:
    """From no batch at all to the one that failed."""
    found = limit.found
    end = found.fails_at or found.limit
    if not end or found.fixed_bytes is None or found.bytes_per_example is None:
        return []
    ys = [found.fixed_bytes / GIB, (found.fixed_bytes + found.bytes_per_example * end) / GIB]
    return (
        [Line(f"fit {where(limit.place)}", [0, end], ys, colour)] if all(map(isfinite, ys)) else []
    )


def _limit_table(view: View) -> Table:
    columns = [
        *key_columns(view),
        Column("budget"),
        Column("known", numeric=False),
        Column("limit"),
        Column("fails at"),
        Column("step"),
        Column("probes"),
        Column("time"),
        Column("outcomes", numeric=False),
    ]
    return Table(
        columns,
        [
            [
                *key_cells(view, limit),
                Cell(
                    name(limit.place),
                    f"{gibibytes(limit.found.budget_bytes)} GiB" * limit.place.is_type,
                ),
                Cell(
                    limit.kind,
                    "; ".join(
                        [f"held by {limit.found.enforced_by}", *_told(limit), *limit.found.notes]
                    ),
                ),
                _proven_cell(limit),
                Cell(count(limit.found.fails_at))
                if limit.found.fails_at is not None
                else gap("nothing failed" if limit.found.limit is not None else "not_run"),
                Cell(count(limit.step)) if limit.step is not None else Cell(""),
                Cell(count(len(limit.found.probes))),
                Cell(duration(limit.found.seconds)),
                Cell(_outcomes(limit.found.probes)),
            ]
            for limit in view.limits
        ],
        "Every limit: what fits, and what failed one step on",
    )


def _told(limit: Limit) -> list[str]:
    """Where the search was told to look first."""
    told = limit.found.expected
    return [f"looked first near {count(told.limit)} ({told.source})"] if told else []


def _proven_cell(limit: Limit) -> Cell:
    if limit.found.limit is None:
        return Cell("not found", limit.measurement.reason or "", "gap")
    return Cell(limit_text(limit), _limit_note(limit))


def _outcomes(probes: Sequence[Probe]) -> str:
    """'3 fits, 1 out of memory'."""
    seen = [probe.outcome for probe in probes]
    return ", ".join(f"{seen.count(one)} {OUTCOME_TEXT[one]}" for one in dict.fromkeys(seen))


def _probe_table(view: View) -> Table:
    columns = [
        *key_columns(view),
        Column("budget", numeric=False),
        Column("batch"),
        Column("outcome", numeric=False),
        Column("peak", "GiB"),
        Column("steps"),
        Column("time"),
        Column("reason", numeric=False),
    ]
    return Table(
        columns,
        [
            [
                *key_cells(view, limit),
                Cell(name(limit.place)),
                Cell(count(probe.batch_size)),
                Cell(OUTCOME_TEXT[probe.outcome]),
                Cell(gibibytes(probe.peak_bytes)) if probe.peak_bytes is not None else gap("none"),
                Cell(count(probe.steps)),
                Cell(duration(probe.seconds)),
                Cell(probe.reason or ""),
            ]
            for limit in view.limits
            for probe in limit.found.probes
        ],
    )


def key_columns(view: View) -> list[Column]:
    names = ["run"] * view.several_runs + ["work", "backend"]
    return [*[Column(name, numeric=False) for name in names], Column("length", "tokens")]


def key_cells(view: View, limit: Limit) -> list[Cell]:
    return [
        *[Cell(limit.run)] * view.several_runs,
        Cell(limit.work.text),
        _who(view, limit.measurement.job.backend),
        Cell(count(limit.row[0])),
    ]


def _who(view: View, backend: str) -> Cell:
    return Cell(view.title(backend), colour=view.colour(backend))


def _labels(view: View) -> list[Block]:
    shown = {spot.kind for grid in view.grids for spot in grid.spots.values()}
    shown |= {"predicted" for grid in view.grids for spot in grid.spots.values() if spot.predicted}
    how = ", ".join(text for kind, text in KINDS.items() if kind in shown).capitalize()
    if view.limits:
        return labels(view, "batch_limit", how=how)
    return [Paragraph(f"{how}: nothing was trained.", "small")]
