"""Medians, intervals and tests. Pure functions of numbers; every draw is seeded, so that the
same figures always give the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, exp, log, sqrt

import numpy as np

LEVEL = 0.95
RESAMPLES = 4000
Z = 1.959963984540054  # standard normal quantile of 0.975


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
    """Percentile bootstrap interval of the median (Efron 1979); None for a single value.

    The values are sorted first, so that their order does not matter."""
    sample = np.sort(_some(values))
    if len(sample) == 1:
        return None
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.integers(0, len(sample), (RESAMPLES, len(sample)))
    low, high = np.quantile(np.median(sample[draws], axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def paired_ratio(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Estimate:
    """Median of first / second over pairs taken side by side, on the log scale, so that
    swapping the two gives the reciprocal. All values must be above 0."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values are no pairs")
    logs = [log(a) - log(b) for a, b in zip(first, second, strict=True)]
    interval = median_interval(logs, seed)
    return Estimate(exp(median(logs)),
                    interval and Interval(exp(interval.low), exp(interval.high)))


def wilson(correct: float, total: int) -> Interval:
    """Wilson's (1927) interval of a share, `correct` of `total`; it stays inside 0 and 1.

    `correct` may be a fraction: the mean count over several seeds."""
    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"{correct} of {total} is no share")
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


_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


def student_t(degrees: int) -> float:
    """Quantile 0.975 of Student's t: tabulated up to 10 degrees of freedom, then by the
    Cornish-Fisher expansion, which is within 1e-3 there."""
    if degrees < 1:
        raise ValueError(f"{degrees} degrees of freedom")
    if degrees <= len(_T):
        return _T[degrees - 1]
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / degrees + second / degrees**2 + third / degrees**3


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test: the chance of a split at least as uneven, when an example
    that just one of two classifiers gets right is as likely to be the one's as the other's.
    1.0 when they never differ."""
    if min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} are no counts")
    total, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(total, k) for k in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**total))


def paired_difference(only_first: int, only_second: int, total: int) -> Estimate:
    """Difference of two accuracies on the same `total` examples, with Agresti and Min's (2005)
    interval: Wald's after half an observation is added to each of the four cells."""
    if min(only_first, only_second) < 0 or not 0 < total >= only_first + only_second:
        raise ValueError(f"{only_first} and {only_second} of {total} are no counts")
    padded = total + 2
    middle = (only_first - only_second) / padded
    spread = (only_first + only_second + 1) / padded - middle**2
    half = Z * sqrt(spread / padded)
    return Estimate((only_first - only_second) / total,
                    Interval(max(-1.0, middle - half), min(1.0, middle + half)))


def macro_f1(labels: np.ndarray, predicted: np.ndarray, label_count: int) -> float:
    """Unweighted mean of the F1 of every label, int (examples,) each; a label that is neither
    there nor predicted counts 0."""
    return float(_macro_f1(_confusion(labels, predicted, label_count)))


def macro_f1_interval(labels: np.ndarray, predicted: np.ndarray, label_count: int,
                      seed: int = 0) -> Interval:
    """Percentile bootstrap over the evaluation examples: drawing examples anew is drawing the
    confusion matrix from a multinomial, which is how it is done."""
    confusion = _confusion(labels, predicted, label_count)
    total = int(confusion.sum())
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.multinomial(total, confusion.reshape(-1) / total, RESAMPLES)
    scores = _macro_f1(draws.reshape(RESAMPLES, label_count, label_count))
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _confusion(labels: np.ndarray, predicted: np.ndarray, label_count: int) -> np.ndarray:
    """Counts (label, predicted label)."""
    if len(labels) != len(predicted) or not len(labels):
        raise ValueError(f"{len(labels)} labels and {len(predicted)} predictions")
    cells = labels.astype(np.int64) * label_count + predicted
    return np.bincount(cells, minlength=label_count**2).reshape(label_count, label_count)


def _macro_f1(confusion: np.ndarray) -> np.ndarray:
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    either = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    scores: np.ndarray = np.mean(2 * right / np.maximum(either, 1), axis=-1)
    return scores


def _some(values: Sequence[float]) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample) or not np.isfinite(sample).all():
        raise ValueError(f"no finite values: {values!r}")
    return sample
