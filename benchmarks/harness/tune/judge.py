"""What tuning decides by: gains of races, and whether an accuracy holds. Pure, except that recorded
predictions are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from results.analysis.accuracy.evidence import crossed_mean
from results.analysis.speed import Ratio, rate, speed_ratio
from results.analysis.statistics import Interval
from results.schema import Measurement, Throughput, TuningAccuracy, Verdict

FEWEST_ROUNDS = 3  # of a race before it may end early


def gain_of(first: Throughput, second: Throughput) -> Ratio | None:
    """How many times as fast the second is in a race of the two, as the report says it."""
    rates = [rate(side.windows, [side.race] * len(side.windows)) for side in (second, first)]
    return speed_ratio(*rates)


def round_rates(speed: Throughput) -> list[float]:
    """Examples per second of every round of every launch."""
    found: defaultdict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for window in (w for w in speed.windows if not w.superseded):
        totals = found[window.launch, window.round]
        totals[0] += window.examples
        totals[1] += window.seconds
    return [examples / seconds for _, (examples, seconds) in sorted(found.items())]


def incomplete(sides: Sequence[Measurement]) -> bool:
    """Whether one of the two participants has left the race."""
    return len(sides) < 2


def second_has_lost(sides: Sequence[Measurement]) -> bool:
    """Whether the second of two participants has lost by now, or one of them has left: it was
    slower in every round, or the interval of its gain lies below 1. Ending a race for that reason
    adds no false gain."""
    if incomplete(sides):
        return True
    first, second = (side.require(Throughput) for side in sides)
    pairs = list(zip(round_rates(first), round_rates(second), strict=True))
    if len(pairs) >= FEWEST_ROUNDS and all(theirs < ours for ours, theirs in pairs):
        return True
    gain = gain_of(first, second)
    return gain is not None and gain.interval is not None and gain.interval.high < 1


def matmul_share(speed: Throughput) -> float | None:
    """Model FLOP/s, without those of padding, over the measured matmul rate."""
    if not speed.model_flops_per_token or not speed.matmul_flops_per_second:
        return None
    tokens_per_second = rate(speed.windows).tokens_per_second
    return tokens_per_second * speed.model_flops_per_token / speed.matmul_flops_per_second


def verdict(difference: Interval | None, margin: float) -> Verdict:
    """Whether the accuracy holds, by the interval of tuned minus plain: a non-inferiority test."""
    if difference is None:
        return "cannot_tell"
    if difference.low >= -margin:
        return "holds"
    return "does_not_hold" if difference.high < -margin else "cannot_tell"


def compare_accuracy(
    folder: Path, plain: Sequence[Measurement], tuned: Sequence[Measurement], margin: float
) -> TuningAccuracy:
    """Compares the tuned recipe's accuracy on the first evaluation set with the plain one's, from
    the recorded predictions of one training of each per seed. The interval is about other seeds and
    other examples."""
    scored = [m.accuracy for m in plain if m.accuracy]
    name = next(iter(scored[0].scores))
    correct = [np.array([_correct(folder, m, name) for m in side]) for side in (plain, tuned)]
    differences = correct[1].astype(float) - correct[0]
    interval = crossed_mean(differences).interval() if len(differences) > 1 else None
    return TuningAccuracy(
        evaluation_set=name,
        examples=correct[0].shape[1],
        seeds=[one.seed for one in scored],
        plain=float(correct[0].mean()),
        tuned=float(correct[1].mean()),
        difference=float(differences.mean()),
        difference_low=interval.low if interval else None,
        difference_high=interval.high if interval else None,
        margin=margin,
        verdict=verdict(interval, margin),
    )


def _correct(folder: Path, measurement: Measurement, name: str) -> np.ndarray:
    """Which examples a training classified correctly."""
    with np.load(folder / f"{measurement.job.id}.npz", allow_pickle=False) as arrays:
        correct: np.ndarray = arrays[f"{name}_logits"].argmax(axis=1) == arrays[f"{name}_labels"]
    return correct
