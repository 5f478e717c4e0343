"""What tuning decides by: gains of races, the noise floor, and whether an accuracy holds. Pure,
except that recorded predictions are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.run.participant import Participant
from results.analysis.speed import rate, speed_ratio
from results.analysis.statistics import Estimate, Interval, mean_difference
from results.schema import Measurement, Throughput, TuningAccuracy, Verdict, Window

FEWEST_ROUNDS = 3  # of a race before it may end early


def rounds(windows: Sequence[Window]) -> list[tuple[float, float]]:
    """The examples and the seconds of every round."""
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
    """Whether the second side was slower in every round, of enough rounds to end the race."""
    pairs = list(zip(rounds(first), rounds(second), strict=True))
    return len(pairs) >= FEWEST_ROUNDS and all(
        theirs / their_seconds < ours / our_seconds
        for (ours, our_seconds), (theirs, their_seconds) in pairs
    )


def incomplete(racing: Sequence[Participant]) -> bool:
    """Whether one of the two participants has left the race."""
    return len(racing) < 2


def second_has_lost(racing: Sequence[Participant]) -> bool:
    """Whether the second of two participants has lost by now, or one of them has left."""
    return incomplete(racing) or slower_in_every_round(*(job.windows for job in racing))


def noise_floor(noise: Estimate | None) -> float | None:
    """How far from 1 the interval of a recipe's ratio to itself reaches; None without interval."""
    if noise is None or noise.interval is None:
        return None
    return max(noise.interval.high - 1, 1 - noise.interval.low)


def gain_counts(gain: Estimate | None, floor: float) -> bool:
    """Whether the gain's interval lies above 1, and the gain above the noise floor."""
    return (
        gain is not None
        and gain.interval is not None
        and gain.interval.low > 1
        and gain.value - 1 > floor
    )


def matmul_share(speed: Throughput) -> float | None:
    """Model FLOP/s, without those of padding, over the measured matmul rate."""
    if not speed.model_flops_per_token or not speed.matmul_flops_per_second:
        return None
    rate = sum(w.tokens for w in speed.windows) / sum(w.seconds for w in speed.windows)
    return rate * speed.model_flops_per_token / speed.matmul_flops_per_second


def verdict(difference: Interval, margin: float) -> Verdict:
    """Whether the accuracy holds, by the interval of tuned minus plain: a non-inferiority test."""
    if difference.low >= -margin:
        return "holds"
    return "cannot_tell" if difference.high >= 0 else "does_not_hold"


def compare_accuracy(
    folder: Path, plain: Sequence[Measurement], tuned: Sequence[Measurement], margin: float
) -> TuningAccuracy:
    """Compares the tuned recipe's accuracy on the first evaluation set with the plain one's, from
    the recorded predictions of one training of each per seed. Each example's difference is its mean
    over the seeds; the interval is over the examples."""
    scored = [m.accuracy for m in plain if m.accuracy]
    name = next(iter(scored[0].scores))
    correct = [
        np.mean([_correct(folder, m, name) for m in side], axis=0) for side in (plain, tuned)
    ]
    difference = mean_difference(list(correct[1] - correct[0]))
    assert difference.interval is not None
    return TuningAccuracy(
        evaluation_set=name,
        examples=len(correct[0]),
        seeds=[one.seed for one in scored],
        plain=float(correct[0].mean()),
        tuned=float(correct[1].mean()),
        difference=difference.value,
        difference_low=difference.interval.low,
        difference_high=difference.interval.high,
        margin=margin,
        verdict=verdict(difference.interval, margin),
    )


def _correct(folder: Path, measurement: Measurement, name: str) -> np.ndarray:
    """Which examples a training classified correctly."""
    with np.load(folder / f"{measurement.job.id}.npz", allow_pickle=False) as arrays:
        correct: np.ndarray = arrays[f"{name}_logits"].argmax(axis=1) == arrays[f"{name}_labels"]
    return correct
