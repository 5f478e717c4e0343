"""Medians, intervals and tests. Pure functions of numbers; every draw is seeded, so that the
same figures always give the same interval.

Distributions come from scipy.special, whose functions scipy.stats calls: it is imported in a fifth
of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import special

from results import scores

LEVEL = 0.95
RESAMPLES = 4000
Z = float(special.ndtri(0.975))


@dataclass(frozen=True)
class Interval:
    """A confidence interval, of 95 % where nothing else is said."""

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


def mean_bounds(values: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of Student's t interval of the mean, along the last axis, which has two
    values or more."""
    count = values.shape[-1]
    half = student_t(count - 1, level) * values.std(axis=-1, ddof=1) / sqrt(count)
    mean = values.mean(axis=-1)
    return mean - half, mean + half


def median_bounds(values: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper end of the exact interval of the median, along the last axis: two of the
    values in their order, the narrowest pair that holds the median with at least this confidence
    whatever the distribution. None where not even the least and the largest do."""
    count = values.shape[-1]
    outside = 2 * special.bdtr(np.arange(count // 2), count, 0.5)  # of each pair, from the widest
    wide_enough = int((outside <= 1 - level).sum())
    if not wide_enough:
        return None
    ordered = np.sort(values, axis=-1)
    return ordered[..., wide_enough - 1], ordered[..., count - wide_enough]


def mean_p_value(values: Sequence[float]) -> float:
    """Two-sided p value of Student's t test that the mean is 0."""
    sample = _some(values)
    error = float(sample.std(ddof=1)) / sqrt(len(sample))
    if not error:
        return float(sample.mean() == 0)
    return float(2 * special.stdtr(len(sample) - 1, -abs(float(sample.mean())) / error))


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which of several tests still reject when all of them together may err as often as one
    (Holm 1979)."""
    rejected, order = (
        [False] * len(p_values),
        sorted(range(len(p_values)), key=p_values.__getitem__),
    )
    for place, index in enumerate(order):
        if p_values[index] > (1 - level) / (len(p_values) - place):
            break
        rejected[index] = True
    return rejected


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
    low, high = mean_bounds(sample)
    return Estimate(mean, Interval(float(low), float(high)))


def student_t(degrees: int, level: float = LEVEL) -> float:
    """Half the width of Student's t interval in standard errors."""
    if degrees < 1:
        raise ValueError(f"{degrees} degrees of freedom")
    return float(special.stdtrit(degrees, (1 + level) / 2))


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
