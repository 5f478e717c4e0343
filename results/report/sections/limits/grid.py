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
    rows = []
    for length, backend in grid.rows:
        spots = [shown.get((length, backend, place)) for place in places]
        reason = grid.reasons.get((length, backend), "not_asked")
        cells = [_spot_cell(view, spot, predicted) if spot else gap(reason) for spot in spots]
        rows.append([Cell(count(length)), backend_cell(view, backend), *cells])
    head = "Largest batch, predicted" if shown and predicted else "Largest batch"
    return Table(columns, rows, f"{head}: {grid.work.text}")


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


def _spot_cell(view: View, spot: Spot, bare: bool) -> Cell:
    """`bare`: without the word for how it is known, which stands above."""
    predicted = spot.predicted
    if not spot.limits and predicted:
        known = "" if bare else "predicted, "
        return Cell(count(predicted.limit), f"{known}{_range(spot, predicted)}", "predicted")
    found = any(limit.found.limit is not None for limit in spot.limits)
    notes: list[str] = [spot.kind] if found else []
    notes += unique(limit_note(limit) for limit in spot.limits)
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
