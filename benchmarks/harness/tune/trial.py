"""One race of a lever against a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from results.analysis.statistics import Estimate
from results.schema import (
    Measurement,
    Throughput,
)


@dataclass(frozen=True)
class Race:
    """What a race of two showed."""

    sides: tuple[Measurement, ...] = ()
    gain: Estimate | None = None  # examples per second of the second over the first's
    reason: str | None = None  # why there is no gain, or no interval of it

    @property
    def speeds(self) -> list[Throughput]:
        return [m.throughput for m in self.sides if m.throughput]

    @property
    def shown(self) -> str:
        words = [] if self.gain is None else [f"{self.gain.value:.2f}x"]
        return ", ".join([*words, *([self.reason] if self.reason else [])])


def ends(gain: Estimate | None) -> tuple[float | None, float | None]:
    """A gain's interval, as the records have it."""
    interval = gain.interval if gain else None
    return (interval.low, interval.high) if interval else (None, None)


def plain_word(text: str) -> str:
    """Letters, digits and '_', for a file's name."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in text)
