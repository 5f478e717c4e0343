"""Whether a race's clock can be trusted: what a framework's own loop costs over its barest one,
and how far two runs of the same thing lie apart. Pure: no file is written, no text is laid out.

Both come from windows of the same race, round and place, as all comparisons do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Literal

from results.analysis.groups import Comparison, Taken, groups
from results.analysis.speed import Rate, SpeedRow, speed_ratio, speed_rows
from results.analysis.statistics import Estimate
from results.schema import Role

# Why two speeds are not called different.
Doubt = Literal[
    "not raced together",
    "fewer than 6 rounds",
    "too close to tell apart",
    "no noise floor was taken",
]


@dataclass(frozen=True)
class Tax:
    """A framework's loop against the barest loop of the same framework on the same work."""

    comparison: Comparison
    backend: str
    framework: Rate
    bare: Rate
    ratio: Estimate | None  # time per step, framework / bare; None: not raced together

    @property
    def seconds_per_step(self) -> float | None:
        """What the framework's loop adds to a step of the bare loop's median time."""
        return (self.ratio.value - 1) / self.bare.median if self.ratio else None


@dataclass(frozen=True)
class NoisePair:
    """One backend twice in a race, as if it were two: it differs from itself by noise alone."""

    comparison: Comparison
    backend: str
    own: Rate
    again: Rate
    ratio: Estimate  # of its two speeds

    @property
    def floor(self) -> float | None:
        """The noise floor as a factor, at least 1: the larger of what the pair's interval reaches
        up and down, so that a pair which happens to agree does not pass for a silent machine.
        Without an interval there is no floor."""
        interval = self.ratio.interval
        if interval is None:
            return None
        return exp(max(abs(log(end)) for end in (interval.low, interval.high)))


def taxes(taken: Iterable[Taken]) -> list[Tax]:
    """One per backend and comparison in which both loops were timed."""
    rows = _race_rows(taken)
    found = []
    for (comparison, backend, role), row in rows.items():
        own = rows.get((comparison, backend, "framework"))
        if role == "control" and own:
            found.append(
                Tax(
                    comparison,
                    backend,
                    own.training,
                    row.training,
                    speed_ratio(row.training, own.training),
                )
            )
    return found


def noise_pairs(taken: Iterable[Taken]) -> list[NoisePair]:
    """One per comparison and backend that took part twice in one race."""
    rows = _race_rows(taken)
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
    if ratio.interval.low <= 1 <= ratio.interval.high or within(ratio.value, floor):
        return "too close to tell apart"
    return "no noise floor was taken" if floor is None else None


def told_apart(
    first: SpeedRow, second: SpeedRow, floors: Mapping[Comparison, float]
) -> float | Doubt:
    """How many times as fast `first` is, or why it is not called faster."""
    ratio = speed_ratio(first.training, second.training)
    why = doubt(ratio, floors.get(first.group.comparison))
    if why:
        return why
    assert ratio is not None
    return ratio.value if ratio.value > 1 else "too close to tell apart"


def within(ratio: float, floor: float | None) -> bool:
    """Whether two speeds of this ratio differ by no more than the noise; False where the race
    has no floor to tell by."""
    return floor is not None and 1 / floor <= ratio <= floor


def fastest(rows: Sequence[SpeedRow], floors: Mapping[Comparison, float]) -> SpeedRow | None:
    """The row that trains most samples a second; None where the next one cannot be told from
    it, and where there is no other."""
    ranked = sorted(rows, key=lambda row: (-row.training.samples_per_second, row.group.backend))
    if len(ranked) > 1 and isinstance(told_apart(ranked[0], ranked[1], floors), float):
        return ranked[0]
    return None


def _race_rows(taken: Iterable[Taken]) -> dict[tuple[Comparison, str, Role], SpeedRow]:
    return {
        (group.comparison, group.backend, group.role): row
        for group in groups(taken)
        if group.question == "throughput"
        for row in speed_rows(group)
    }
