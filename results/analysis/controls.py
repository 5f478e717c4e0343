"""Controls of a race: the overhead of a framework's own loop over its bare loop, and the noise floor
from a backend that takes part twice. Pure functions.

Both compare windows of the same race, round and place, as all comparisons do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Literal

from results.analysis.groups import Comparison, Entry, groups
from results.analysis.speed import Rate, SpeedRow, speed_ratio, speed_rows
from results.analysis.statistics import Estimate
from results.schema import Role

# Why two speeds are not called different.
Doubt = Literal[
    "not raced together",
    "fewer than 6 rounds",
    "too close to distinguish",
    "no noise floor measured",
]


@dataclass(frozen=True)
class Overhead:
    """A framework's own loop compared with the control, its bare loop, on the same work."""

    comparison: Comparison
    backend: str
    framework: Rate
    control: Rate
    ratio: Estimate | None  # time per step, framework / control; None: not raced together

    @property
    def seconds_per_step(self) -> float | None:
        """What the framework's loop adds to the control's median step."""
        return (self.ratio.value - 1) / self.control.median if self.ratio else None


@dataclass(frozen=True)
class NoisePair:
    """One backend that took part twice in a race: any difference between the two is noise."""

    comparison: Comparison
    backend: str
    own: Rate
    repeat: Rate
    ratio: Estimate  # of its two speeds

    @property
    def floor(self) -> float | None:
        """The noise floor as a factor, at least 1: the end of the pair's interval that is farther
        from 1, so that a pair that agrees by luck does not count as a quiet machine. None without
        an interval."""
        interval = self.ratio.interval
        if interval is None:
            return None
        return exp(max(abs(log(end)) for end in (interval.low, interval.high)))


def overheads(entries: Iterable[Entry]) -> list[Overhead]:
    """One per backend and comparison in which both loops were timed."""
    rows = _race_rows(entries)
    found = []
    for (comparison, backend, role), row in rows.items():
        own = rows.get((comparison, backend, "framework"))
        if role == "control" and own:
            ratio = speed_ratio(row.training, own.training)
            found.append(Overhead(comparison, backend, own.training, row.training, ratio))
    return found


def noise_pairs(entries: Iterable[Entry]) -> list[NoisePair]:
    """One per comparison and backend that took part twice in one race."""
    rows = _race_rows(entries)
    found = []
    for (comparison, backend, role), row in rows.items():
        own = rows.get((comparison, backend, "framework"))
        ratio = speed_ratio(own.training, row.training) if own else None
        if role == "repeat" and own and ratio:
            found.append(NoisePair(comparison, backend, own.training, row.training, ratio))
    return found


def noise_floors(pairs: Sequence[NoisePair]) -> dict[Comparison, float]:
    """The largest floor of each comparison, as a factor."""
    floors: dict[Comparison, float] = {}
    for pair in pairs:
        if pair.floor is not None:
            floors[pair.comparison] = max(pair.floor, floors.get(pair.comparison, 1.0))
    return floors


def doubt(ratio: Estimate | None, floor: float | None) -> Doubt | None:
    """Why two speeds of this ratio are not called different; None where they are."""
    if ratio is None:
        return "not raced together"
    if ratio.interval is None:
        return "fewer than 6 rounds"
    if ratio.interval.low <= 1 <= ratio.interval.high or is_within_noise(ratio.value, floor):
        return "too close to distinguish"
    return "no noise floor measured" if floor is None else None


def speed_advantage(
    first: SpeedRow, second: SpeedRow, floors: Mapping[Comparison, float]
) -> float | Doubt:
    """How many times as fast `first` is, or why it is not called faster."""
    ratio = speed_ratio(first.training, second.training)
    reason = doubt(ratio, floors.get(first.group.comparison))
    if ratio is None or reason:
        return reason or "not raced together"
    return ratio.value if ratio.value > 1 else "too close to distinguish"


def is_within_noise(ratio: float, floor: float | None) -> bool:
    """Whether two speeds of this ratio differ by no more than the noise floor; False where the race
    has none."""
    return floor is not None and 1 / floor <= ratio <= floor


def fastest(rows: Sequence[SpeedRow], floors: Mapping[Comparison, float]) -> SpeedRow | None:
    """The row that trains most samples per second; None for a single row, and where the second
    fastest is too close."""
    ranked = sorted(rows, key=lambda row: (-row.training.samples_per_second, row.group.backend))
    if len(ranked) > 1 and isinstance(speed_advantage(ranked[0], ranked[1], floors), float):
        return ranked[0]
    return None


def _race_rows(entries: Iterable[Entry]) -> dict[tuple[Comparison, str, Role], SpeedRow]:
    return {
        (group.comparison, group.backend, group.role): row
        for group in groups(entries)
        if group.question == "throughput"
        for row in speed_rows(group)
    }
