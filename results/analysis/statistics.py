"""Medians, intervals and tests. Pure functions of numbers; every draw is seeded, so that the
same figures always give the same interval.

Distributions come from scipy.special, whose functions scipy.stats calls: it is imported in a fifth
of the time.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy import special

from results import scores

LEVEL = 0.95
RESAMPLES = 4000
# Not even the span from the least to the largest of five values holds the median 95 times in 100.
FEWEST = 6
Z = float(special.ndtri(0.975))


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


@dataclass(frozen=True)
class Estimate:
    value: float
    interval: Interval | None  # None: too few observations to tell


def median(values: Sequence[float]) -> float:
    return float(np.median(_some(values)))


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper quartile, linearly interpolated."""
    low, high = np.quantile(_some(values), [0.25, 0.75])
    return float(low), float(high)


def median_interval(values: Sequence[float], seed: int = 0) -> Interval | None:
    """Bootstrap interval of the median (Efron 1979); None below 6 values.

    The values are sorted and every draw has its mirror image, so that neither their order nor
    their sign matters."""
    sample = np.sort(_some(values))
    if len(sample) < FEWEST:
        return None
    generator = np.random.Generator(np.random.PCG64(seed))
    half = generator.integers(0, len(sample), (RESAMPLES // 2, len(sample)))
    draws = np.concatenate([half, len(sample) - 1 - half])
    tail = _tail(len(sample))
    low, high = np.quantile(np.median(sample[draws], axis=1), [tail, 1 - tail])
    return Interval(float(low), float(high))


def _tail(count: int) -> float:
    """Where the 'expanded percentile' interval of so many draws ends (Hesterberg 2015): plain
    percentiles are too narrow for few values, just as a normal interval is narrower than Student's."""
    return float(special.ndtr(-sqrt(count / (count - 1)) * student_t(count - 1)))


def per_round(values: Sequence[float], rounds: Sequence[Hashable]) -> list[float]:
    """One value for every round, the median of its own: what disturbs a machine outlasts a
    window, so consecutive windows are not independent observations."""
    found: dict[Hashable, list[float]] = {}
    for value, round_ in zip(values, rounds, strict=True):
        found.setdefault(round_, []).append(value)
    return [median(same) for same in found.values()]


def paired_ratio(
    first: Sequence[float],
    second: Sequence[float],
    rounds: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Estimate:
    """Median of first / second over pairs, on the log scale, so that
    swapping the two gives the reciprocal. All values must be above 0.

    `rounds` says of which round every pair is, and a round counts once; without it every pair is
    a round of its own."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values are not pairs")
    logs = [log(a) - log(b) for a, b in zip(first, second, strict=True)]
    if rounds is not None:
        logs = per_round(logs, rounds)
    interval = median_interval(logs, seed)
    return Estimate(exp(median(logs)), interval and Interval(exp(interval.low), exp(interval.high)))


def wilson(correct: float, total: int) -> Interval:
    """Wilson's (1927) interval of a share, `correct` of `total`; it stays inside 0 and 1.

    `correct` may be a fraction, the mean count over several seeds, which SciPy's does not accept."""
    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"{correct} of {total} is not a share")
    share, z2 = correct / total, Z * Z
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z * sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return Interval(max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Mean with Student's t interval: for the few seeds of a study, where a bootstrap is too
    narrow. No interval for a single value."""
    sample = _some(values)
    mean = float(np.mean(sample))
    if len(sample) == 1:
        return Estimate(mean, None)
    half = student_t(len(sample) - 1) * float(np.std(sample, ddof=1)) / sqrt(len(sample))
    return Estimate(mean, Interval(mean - half, mean + half))


def student_t(degrees: int) -> float:
    """Quantile 0.975 of Student's t."""
    if degrees < 1:
        raise ValueError(f"{degrees} degrees of freedom")
    return float(special.stdtrit(degrees, 0.975))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test: the chance of a split at least as uneven, when an example
    that just one of two classifiers gets right is as likely to be the one's as the other's.
    1.0 when they never differ."""
    if min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} are not counts")
    total, fewer = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * float(special.bdtr(fewer, total, 0.5)))


def paired_difference(only_first: int, only_second: int, total: int) -> Estimate:
    """Difference of two accuracies on the same `total` examples, with Agresti and Min's (2005)
    interval: Wald's after half an observation is added to each of the four cells."""
    if min(only_first, only_second) < 0 or not 0 < total >= only_first + only_second:
        raise ValueError(f"{only_first} and {only_second} of {total} are not counts")
    padded = total + 2
    middle = (only_first - only_second) / padded
    spread = (only_first + only_second + 1) / padded - middle**2
    half = Z * sqrt(spread / padded)
    return Estimate(
        (only_first - only_second) / total,
        Interval(max(-1.0, middle - half), min(1.0, middle + half)),
    )


def macro_f1(labels: np.ndarray, predicted: np.ndarray, label_count: int) -> float:
    """Macro F1 of int (examples,) labels and predictions."""
    return float(scores.macro_f1(scores.confusion(labels, predicted, label_count)))


def macro_f1_interval(
    labels: np.ndarray, predicted: np.ndarray, label_count: int, seed: int = 0
) -> Interval:
    """Percentile bootstrap over the evaluation examples. Resampling examples is the same as drawing
    the confusion counts from a multinomial distribution, which is faster."""
    counts = scores.confusion(labels, predicted, label_count)
    total = int(counts.sum())
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.multinomial(total, counts.reshape(-1) / total, RESAMPLES)
    drawn = scores.macro_f1(draws.reshape(RESAMPLES, label_count, label_count))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _some(values: Sequence[float]) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample) or not np.isfinite(sample).all():
        raise ValueError(f"no finite values: {values!r}")
    return sample


def ratio_of_totals(
    first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]], seed: int = 0
) -> Estimate:
    """The first's rate over the second's, where each is all that it did over all the seconds that
    it took: (amount, seconds) of every round, the two taking turns. For work that is not the same
    in every window. All values must be above 0.

    The interval draws rounds in pairs; None below 6 of them."""
    both = np.asarray([first, second], dtype=np.float64)  # side, round, amount or seconds
    if both.ndim != 3 or not np.isfinite(both).all() or (both <= 0).any():
        raise ValueError(f"no pairs of amounts and seconds: {first!r}, {second!r}")

    def logs(totals: np.ndarray) -> np.ndarray:
        amounts, seconds = np.log(totals[..., 0]), np.log(totals[..., 1])
        ratio: np.ndarray = (amounts[0] - seconds[0]) - (amounts[1] - seconds[1])
        return ratio

    value, rounds = exp(float(logs(both.sum(axis=1)))), both.shape[1]
    if rounds < FEWEST:
        return Estimate(value, None)
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.integers(0, rounds, (RESAMPLES, rounds))
    tail = _tail(rounds)
    low, high = np.quantile(logs(both[:, draws].sum(axis=2)), [tail, 1 - tail])
    return Estimate(value, Interval(exp(low), exp(high)))


def mean_difference(differences: Sequence[float]) -> Estimate:
    """Mean over examples of how much more often one of two classifiers is right, from -1 to 1 each:
    a mean over seeds. The interval is that of `paired_difference`, which it is for a single seed;
    it is about other examples, not about other seeds."""
    sample = _some(differences)
    padded = len(sample) + 2
    middle = float(sample.sum()) / padded
    half = Z * sqrt(((float((sample**2).sum()) + 1) / padded - middle**2) / padded)
    return Estimate(
        float(sample.mean()), Interval(max(-1.0, middle - half), min(1.0, middle + half))
    )
