"""What tuning decides by: gains of races, the noise floor, and whether an accuracy holds. Pure, but
for the predictions that are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.run.participant import Participant
from results.analysis.speed import rate, speed_ratio
from results.analysis.statistics import Estimate, Interval, mean_difference
from results.schema import Measurement, Throughput, TuningAccuracy, Verdict, Window

EARLIEST = 3  # rounds of a race before it may end


def rounds(windows: Sequence[Window]) -> list[tuple[float, float]]:
    """Examples and seconds of every round."""
    found: defaultdict[int, list[Window]] = defaultdict(list)
    for window in windows:
        found[window.round].append(window)
    return [
        (sum(w.examples for w in same), sum(w.seconds for w in same))
        for _, same in sorted(found.items())
    ]


def gain_of(first: Sequence[Window], second: Sequence[Window]) -> Estimate | None:
    """How many times as fast the second is in a race of the two, as the report says it."""
    return speed_ratio(rate(second), rate(first))


def slower_in_every_round(first: Sequence[Window], second: Sequence[Window]) -> bool:
    """Whether the second was, in enough rounds to leave it at that."""
    pairs = list(zip(rounds(first), rounds(second), strict=True))
    return len(pairs) >= EARLIEST and all(
        theirs / their_seconds < ours / our_seconds
        for (ours, our_seconds), (theirs, their_seconds) in pairs
    )


def left(racing: Sequence[Participant]) -> bool:
    """Whether one of two has left the race."""
    return len(racing) < 2


def lost(racing: Sequence[Participant]) -> bool:
    """Whether the second of two has lost by now, or one of them has left."""
    return left(racing) or slower_in_every_round(*(job.windows for job in racing))


def floor(noise: Estimate | None) -> float | None:
    """How far from 1 a recipe's ratio to itself may lie, by its interval; None without one."""
    if noise is None or noise.interval is None:
        return None
    return max(noise.interval.high - 1, 1 - noise.interval.low)


def counts(gain: Estimate | None, floor: float) -> bool:
    """Whether a gain is one: its interval above 1, and itself above the noise."""
    return (
        gain is not None
        and gain.interval is not None
        and gain.interval.low > 1
        and gain.value - 1 > floor
    )


def matmul_share(speed: Throughput) -> float | None:
    """Model FLOP/s over the matmul rate, padding left out."""
    if not speed.model_flops_per_token or not speed.matmul_flops_per_second:
        return None
    rate = sum(w.tokens for w in speed.windows) / sum(w.seconds for w in speed.windows)
    return rate * speed.model_flops_per_token / speed.matmul_flops_per_second


def verdict(difference: Interval, margin: float) -> Verdict:
    """On an accuracy, by the interval of tuned minus plain (a test of non-inferiority)."""
    if difference.low >= -margin:
        return "holds"
    return "cannot_tell" if difference.high >= 0 else "does_not_hold"


def compare_accuracy(
    folder: Path, plain: Sequence[Measurement], tuned: Sequence[Measurement], margin: float
) -> TuningAccuracy:
    """The tuned recipe's accuracy on the first evaluation set against the plain one's, a training
    of each per seed, from the kept predictions. Each example's difference is its mean over the
    seeds; the interval is over the examples."""
    told = [m.accuracy for m in plain if m.accuracy]
    name = next(iter(told[0].scores))
    right = [np.mean([_right(folder, m, name) for m in side], axis=0) for side in (plain, tuned)]
    difference = mean_difference(list(right[1] - right[0]))
    assert difference.interval is not None
    return TuningAccuracy(
        evaluation_set=name,
        examples=len(right[0]),
        seeds=[one.seed for one in told],
        plain=float(right[0].mean()),
        tuned=float(right[1].mean()),
        difference=difference.value,
        difference_low=difference.interval.low,
        difference_high=difference.interval.high,
        margin=margin,
        verdict=verdict(difference.interval, margin),
    )


def _right(folder: Path, measurement: Measurement, name: str) -> np.ndarray:
    """Which examples a training got right."""
    with np.load(folder / f"{measurement.job.id}.npz", allow_pickle=False) as arrays:
        right: np.ndarray = arrays[f"{name}_logits"].argmax(axis=1) == arrays[f"{name}_labels"]
    return right
