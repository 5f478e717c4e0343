"""Controls of a race: the overhead of a framework's own loop over its bare loop, and the A/A pair, a
backend that takes part twice. Pure functions.

Both are ratios within one race, as all comparisons are. The A/A pair checks the method: its true
ratio is 1. Where its interval misses 1, the race's other intervals may be too narrow as well, and
the report says so; it takes nothing away from a claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from results.analysis.groups import Comparison, Entry, groups
from results.analysis.speed import Rate, Ratio, SpeedRow, speed_ratio, speed_rows
from results.schema import Role


@dataclass(frozen=True)
class Overhead:
    """A framework's own loop compared with the control, its bare loop, on the same work."""

    comparison: Comparison
    backend: str
    framework: Rate
    control: Rate
    ratio: Ratio | None  # time per step, framework / control; None: not raced together

    @property
    def seconds_per_step(self) -> float | None:
        """What the framework's loop adds to the control's step."""
        return (self.ratio.value - 1) / self.control.steps_per_second if self.ratio else None


@dataclass(frozen=True)
class NoisePair:
    """One backend that took part twice in a race: any difference between the two is noise."""

    comparison: Comparison
    backend: str
    own: Rate
    repeat: Rate
    ratio: Ratio  # own over repeat

    @property
    def misses_one(self) -> bool:
        """Whether the interval excludes the true ratio, which it does by chance in 1 of 20 races."""
        interval = self.ratio.interval
        return interval is not None and not interval.low <= 1 <= interval.high


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


def _race_rows(entries: Iterable[Entry]) -> dict[tuple[Comparison, str, Role], SpeedRow]:
    return {
        (group.comparison, group.backend, group.role): row
        for group in groups(entries)
        if group.question == "throughput"
        for row in speed_rows(group)
    }
