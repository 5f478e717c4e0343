"""The grid of what fits where, and the words for places and limits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from results.analysis.limits import Grid, Limit, Place, Spot
from results.report.columns import backend_cell
from results.report.document import Block, Cell, Column, Paragraph, Table
from results.report.format import STATUS_TEXT, count, gap, gibibytes, listed
from results.report.provenance import unique
from results.report.view import View
from results.schema import PredictedLimit

WIDEST = 8  # places of one table


def place_name(place: Place) -> str:
    """'6 GiB', 'T4', 'whole machine'."""
    return re.sub(r"(?<=[0-9])(?=[KMGT]i?B$)", " ", place.name) or "whole machine"


def place_phrase(place: Place) -> str:
    """'within 6 GiB', 'on a T4', 'on the whole machine'."""
    name = place_name(place)
    if not place.name:
        return f"on the {name}"
    if not place.is_type:
        return f"within {name} of a GPU" if place.device == "gpu" else f"within {name}"
    # Letters whose names begin with a vowel.
    return f"on {'an' if name[0] in 'AEFHILMNORSX' else 'a'} {name}"


def main_grids(view: View) -> list[Grid]:
    """Those of checkpoints with trained weights, or all where there are none."""
    return [grid for grid in view.grids if grid.work.is_trained] or list(view.grids)


def grid_tables(view: View, grid: Grid) -> list[Table]:
    """One table or, where it would be too wide for a page, one per kind of device."""
    kinds = dict.fromkeys(place.device for place in grid.places)
    if len(grid.places) <= WIDEST:
        return [grid_table(view, grid)]
    parts = [[place for place in grid.places if place.device == kind] for kind in kinds]
    return [grid_table(view, grid, part) for part in parts]


def grid_table(view: View, grid: Grid, places: Sequence[Place] = ()) -> Table:
    """Of all places, or of some. Where all is predicted, the caption says so, and not every cell."""
    places = places or grid.places
    columns = [
        Column("length", "tokens"),
        Column("backend", numeric=False),
        *[Column(place_name(place), place.device.upper()) for place in places],
    ]
    shown = {key: spot for key, spot in grid.spots.items() if key[2] in places}
    predicted = all(spot.kind == "predicted" for spot in shown.values())
    assumed = all(spot.assumed for spot in shown.values())
    above = f"predicted, {'assumed ' if assumed else ''}" if predicted else ""
    rows = []
    for length, backend in grid.rows:
        spots = [shown.get((length, backend, place)) for place in places]
        reason = grid.reasons.get((length, backend), "not_asked")
        cells = [
            _spot_cell(view, spot, above, fewer_than(grid, (length, backend, place)))
            if spot
            else gap(reason)
            for place, spot in zip(places, spots, strict=True)
        ]
        rows.append([Cell(count(length)), backend_cell(view, backend), *cells])
    if not (shown and predicted):
        return Table(columns, rows, f"Largest batch: {grid.work.text}")
    # A prediction is of any task that has the model.
    work = grid.work.text.removeprefix(f"{grid.work.task}, ")
    doubt = "; the ranges are assumed: no measured case supports them" if assumed else ""
    return Table(columns, rows, f"Largest batch, predicted: {work}{doubt}")


def fewer_than(grid: Grid, key: tuple[int, str, Place]) -> Limit | None:
    """The search within less memory that found a larger batch, if any."""
    length, backend, place = key
    own = [limit for limit in grid.spots[key].limits if limit.found.limit is not None]
    smaller = [
        limit
        for limit in grid.limits
        if limit.row == (length, backend) and limit.place.device == place.device
        for mine in own
        if limit.found.budget_bytes < mine.found.budget_bytes
        and (limit.found.limit or 0) > max(one.found.limit or 0 for one in own)
    ]
    return max(smaller, key=lambda limit: limit.found.limit or 0, default=None)


def fewer_words(more: Limit) -> str:
    """'fewer than within 6 GiB'."""
    return f"fewer than {place_phrase(more.place)}"


def prediction_notes(grid: Grid) -> list[Block]:
    """What the budgets of predictions are based on, where the card itself was not read."""
    places: dict[str, dict[str, None]] = {}
    for (_, _, place), spot in grid.spots.items():
        if spot.predicted and spot.predicted.note:
            places.setdefault(spot.predicted.note, {})[place_name(place)] = None
    return [Paragraph(f"{listed(list(names))}: {note}.", "small") for note, names in places.items()]


def limit_text(limit: Limit) -> str:
    """'34', '≥ 34' where no larger batch failed, '0: not even one', 'not found'."""
    found = limit.found
    if found.limit is None:
        return "not found"
    if found.limit == 0:
        return "0: not even one"
    return count(found.limit) if found.fails_at is not None else f"\u2265 {count(found.limit)}"


def limit_note(limit: Limit) -> str:
    """What the number alone does not say."""
    found = limit.found
    if found.limit is None:
        fitted = max((p.batch_size for p in found.probes if p.outcome == "ok"), default=None)
        notes = [STATUS_TEXT.get(limit.measurement.status, "")]
        notes += [] if fitted is None else [f"{count(fitted)} fitted"]
        return ", ".join(note for note in notes if note)
    if found.limit == 0:
        return f"needs about {gibibytes(found.needed_bytes)} GiB" if found.needed_bytes else ""
    if found.fails_at is None:
        return f"no failure up to {count(found.highest)}"
    return ""


def _spot_cell(view: View, spot: Spot, above: str, more: Limit | None) -> Cell:
    """Without the words for how it is known that stand `above` the table."""
    predicted = spot.predicted
    if not spot.limits and predicted:
        note = f"predicted, {_range(spot, predicted)}".removeprefix(above)
        return Cell(count(predicted.limit), note, "predicted")
    found = any(limit.found.limit is not None for limit in spot.limits)
    notes: list[str] = [spot.kind] if found else []
    notes += unique(limit_note(limit) for limit in spot.limits)
    notes += [fewer_words(more)] if more else []
    if len(spot.limits) > 1 and view.several_runs:
        notes.append(listed([limit.run for limit in spot.limits]))
    if predicted:
        notes.append(f"predicted {count(predicted.limit)} ({_range(spot, predicted)})")
    return Cell(_answers(spot.limits), ", ".join(notes), spot.kind if found else "gap")


def _answers(limits: Sequence[Limit]) -> str:
    """'34'; '34 / 36' where two searches differ."""
    return " / ".join(unique(limit_text(limit) for limit in limits))


def _range(spot: Spot, predicted: PredictedLimit) -> str:
    span = f"{count(predicted.low)} to {count(predicted.high)}"
    return f"assumed {span}" if spot.assumed else span
