"""What changed from one set of measurements to another: speed, memory and accuracy of the same work, each
with its interval. Pure functions.

The two sides were not raced together, so what the machine itself did in between is in no interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, hypot, log
from typing import Any, Literal

from results.analysis.accuracy.pairs import paired
from results.analysis.accuracy.scores import ScoreRow
from results.analysis.compare import Row
from results.analysis.memory import headline_memory
from results.analysis.speed import Sample
from results.analysis.statistics import Interval

Figure = Literal["speed", "memory", "accuracy"]
# Beyond the noise: the interval excludes 'no change'. None: there is no interval, so nobody can tell.
Verdict = Literal["better", "worse", "within the noise"]
# The word of a limit (`slower:5%`) and the figure that it bounds.
LIMITS: dict[str, Figure] = {"slower": "speed", "memory": "memory", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Change:
    subject: str  # 'imdb, length 512'
    backend: str
    figure: Figure
    what: str  # 'samples/s', 'process peak', 'accuracy on test'
    before: float
    after: float
    # Relative, -0.1 for 10 % less; of an accuracy, the difference of the shares.
    change: float
    interval: Interval | None
    paired: bool = False  # on the same examples

    @property
    def verdict(self) -> Verdict | None:
        if self.interval is None:
            return None
        if self.interval.low <= 0 <= self.interval.high:
            return "within the noise"
        return "better" if (self.change > 0) == (self.figure != "memory") else "worse"

    @property
    def loss(self) -> float:
        """How much worse it is; below 0 where it is better."""
        return self.change if self.figure == "memory" else -self.change

    def breaks(self, bounds: Mapping[Figure, float]) -> bool:
        """Whether it is worse by more than the bound, and not within the noise."""
        bound = bounds.get(self.figure)
        return bound is not None and self.loss > bound and self.verdict != "within the noise"


def changes(before: Sequence[Sequence[Row]], after: Sequence[Sequence[Row]]) -> list[Change]:
    """Of the comparisons and backends that both sides have."""
    found: list[Change] = []
    for rows in before:
        same = next((r for r in after if subject_key(r[0]) == subject_key(rows[0])), [])
        for old in rows:
            new = next((row for row in same if row.backend == old.backend), None)
            if new:
                found += [*_speed(old, new), *_memory(old, new), *_accuracy(old, new)]
    return found


def saved_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Of two files that pytest-benchmark saved: rounds per second of the benchmarks of both."""
    found = []
    for name, old in _benchmarks(before).items():
        new = _benchmarks(after).get(name)
        if new:
            sides = [tuple(-log(seconds) for seconds in side if seconds > 0) for side in (old, new)]
            if all(sides):
                first, second = (Sample(logs, launches=1) for logs in sides)
                found.append(_speed_change(name, "", "rounds/s", first, second))
    return found


def _benchmarks(saved: Mapping[str, Any]) -> dict[str, list[float]]:
    """Seconds of every round; of a file without them, the median alone."""
    return {
        str(one["fullname"]): list(one["stats"].get("data") or [one["stats"]["median"]])
        for one in saved["benchmarks"]
    }


def subject_key(row: Row) -> tuple[Any, ...]:
    """What two runs must have in common for their figures to be compared, besides the backend."""
    comparison = row.comparison
    return (
        comparison.task,
        comparison.fields,
        comparison.change,
        comparison.backend,
        comparison.environment,
    )


def _subject(row: Row) -> str:
    varied = row.comparison.varied_text
    return f"{row.comparison.task}, {varied}" if varied else row.comparison.task


def _speed(old: Row, new: Row) -> list[Change]:
    if not (old.speed and new.speed):
        return []
    samples = (old.speed.training.speed, new.speed.training.speed)
    return [_speed_change(_subject(old), old.backend, "steps/s", *samples)]


def _speed_change(subject: str, backend: str, what: str, first: Sample, second: Sample) -> Change:
    """The two are independent: their intervals' squares add up, on the log scale."""
    ratio, interval = second.value / first.value, None
    if first.interval and second.interval:
        half = hypot(_half(first.interval), _half(second.interval))
        interval = Interval(ratio * exp(-half) - 1, ratio * exp(half) - 1)
    return Change(subject, backend, "speed", what, first.value, second.value, ratio - 1, interval)


def _half(interval: Interval) -> float:
    return (log(interval.high) - log(interval.low)) / 2


def _memory(old: Row, new: Row) -> list[Change]:
    if not (old.memory and new.memory):
        return []
    kind = old.memory.group.entries[0].measurement.device.kind
    name = headline_memory([old.memory, new.memory], kind)
    before, after = old.memory.figures[name], new.memory.figures[name]
    if not before or not after:
        return []
    what = name.removesuffix("_bytes").replace("_", " ")
    return [
        Change(_subject(old), old.backend, "memory", what, before, after, after / before - 1, None)
    ]


def _accuracy(old: Row, new: Row) -> list[Change]:
    found = []
    for first in old.scores:
        for second in new.scores:
            if first.evaluation_set == second.evaluation_set:
                found.append(_score_change(old, first, second))
    return found


def _score_change(old: Row, first: ScoreRow, second: ScoreRow) -> Change:
    """Paired on the same examples and seed where the predictions were kept; else from the two
    intervals."""
    name = first.evaluation_set
    pairs = [
        pair
        for ours in second.group.entries
        for theirs in first.group.entries
        if ours.measurement.accuracy
        and theirs.measurement.accuracy
        and ours.measurement.accuracy.seed == theirs.measurement.accuracy.seed
        for pair in paired(ours, theirs, [name])
    ]
    difference = second.accuracy - first.accuracy
    if len(pairs) == 1:
        interval = pairs[0].difference.interval
    else:
        half = hypot(first.accuracy_interval.width / 2, second.accuracy_interval.width / 2)
        interval = Interval(difference - half, difference + half)
    return Change(
        _subject(old),
        old.backend,
        "accuracy",
        f"accuracy on {name}",
        first.accuracy,
        second.accuracy,
        difference,
        interval,
        paired=len(pairs) == 1,
    )
