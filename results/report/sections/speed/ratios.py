"""How many times as fast one backend is as another, in one race."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from results.analysis.conditions import unequal
from results.analysis.speed import Rate, Ratio, SpeedRow, speed_ratio
from results.report.document import Cell
from results.report.format import listed, number, span
from results.report.sections.overview import no_interval
from results.report.view import View


def ratio_to_slowest(speed: SpeedRow, speeds: Sequence[SpeedRow]) -> Cell:
    """How many times as fast as the slowest of a race, if the two had the same conditions."""
    slowest = min(speeds, key=lambda s: s.training.samples_per_second)
    if speed is slowest:
        return Cell("1")
    if unequal([speed.conditions, slowest.conditions]):
        return Cell("unequal conditions", tone="gap")
    return ratio_cell(speed.training, slowest.training)


def ratio_cell(first: Rate, second: Rate) -> Cell:
    """How many times as fast `first` is, with its interval."""
    ratio = speed_ratio(first, second)
    if ratio is None:
        return Cell("not raced together", tone="gap")
    return Cell(number(ratio.value), ratio_note(ratio))


def ratio_note(ratio: Ratio, places: int = 2) -> str:
    """The interval of a ratio, and what limits it."""
    if ratio.interval is None:
        return no_interval(ratio.launches, len(ratio.logs))
    notes = [span(ratio.interval, places)]
    notes += ["one launch"] if ratio.launches == 1 else []
    notes += [] if ratio.same_batches else ["different batches"]
    return ", ".join(notes)


def not_raced_together(view: View) -> list[str]:
    """Which comparisons had no common race, and how to get one; empty where all had."""
    heads = [
        view.head(rows[0].comparison)
        for rows in view.comparisons
        if any(
            speed_ratio(a.speed.training, b.speed.training) is None
            for a, b in combinations(rows, 2)
            if a.speed and b.speed
        )
    ]
    if not heads:
        return []
    return [
        f"{listed(heads)}: these backends were not all raced together, so none is called faster. "
        "Install them in one environment (pip install -e '.[all]') and run again to race them."
    ]
