"""Is one backend more accurate than another? Evidence from paired seeds and their predictions.

Two things vary: the seeds (another training gives other weights) and the examples (another
evaluation set holds other texts). Both are sampled, so an interval that resamples one of them only
is too narrow. The interval here is that of a crossed random-effects model of the difference
'first is right minus second is right' of every seed and example, with Satterthwaite's (1946)
degrees of freedom. With few seeds it keeps its level; the multi-bootstrap (MultiBERTs,
arXiv 2106.16163) does not: `python -m benchmarks.studies.accuracy_verdicts` compares both.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import comb, sqrt
from typing import Literal

import numpy as np
from scipy import special

from results.analysis.statistics import Interval, wilson
from results.schema import FEWEST_SEEDS

Verdict = Literal["equivalent", "different", "unknown"]

MOST_SEEDS = 100  # more are never suggested
MOST_EXAMPLES = 1_000_000
FLIPS = 1 << 16  # exact up to 16 seeds


@dataclass(frozen=True)
class CrossedMean:
    """The mean of a table of seeds and examples, with the variance that both give it."""

    value: float
    seeds: int
    examples: int
    seed_variance: float  # of one seed's true mean
    example_variance: float  # of one example's true mean
    rest_variance: float  # of one cell beyond both
    degrees: float  # of freedom, at the present seeds and examples

    def standard_error(self, seeds: int, examples: int) -> float:
        """Standard error of the mean over so many seeds and examples."""
        return sqrt(
            self.seed_variance / seeds
            + self.example_variance / examples
            + self.rest_variance / (seeds * examples)
        )

    def interval(self, level: float = 0.95) -> Interval:
        quantile = float(special.stdtrit(self.degrees, (1 + level) / 2))
        half = quantile * self.standard_error(self.seeds, self.examples)
        return Interval(self.value - half, self.value + half)


def crossed_mean(table: np.ndarray) -> CrossedMean:
    """Mean of a table (seeds, examples), seeds and examples both random and crossed.

    Errors: ValueError below two seeds or two examples: one seed tells nothing about others."""
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"a table of {table.shape} has no two seeds and two examples")
    seeds, examples = table.shape
    by_seed, by_example, mean = table.mean(axis=1), table.mean(axis=0), float(table.mean())
    seed_square = examples * float(by_seed.var(ddof=1))
    example_square = seeds * float(by_example.var(ddof=1))
    rest = table - by_seed[:, None] - by_example[None, :] + mean
    rest_degrees = (seeds - 1) * (examples - 1)
    rest_square = float((rest**2).sum()) / rest_degrees
    # A component that comes out negative is 0, which makes the interval wider, never narrower.
    seed_variance = max(0.0, seed_square - rest_square) / examples
    example_variance = max(0.0, example_square - rest_square) / seeds
    spread = (
        seed_square**2 / (seeds - 1)
        + example_square**2 / (examples - 1)
        + rest_square**2 / rest_degrees
    )
    total = seed_variance * examples + example_variance * seeds + rest_square
    degrees = total**2 / spread if spread else float(seeds - 1)
    return CrossedMean(
        mean,
        seeds,
        examples,
        seed_variance,
        example_variance,
        rest_square,
        min(max(degrees, 1.0), float(rest_degrees)),
    )


def sign_flip(differences: np.ndarray) -> float:
    """Two-sided p-value of the paired permutation test (Fisher 1935) of one difference per seed:
    the share of all ways to swap the two of a pair whose mean is at least as far from 0.

    Exact up to 16 seeds; beyond, from 65,536 seeded random ways."""
    count = len(differences)
    if 1 << count <= FLIPS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=count)))
    else:
        generator = np.random.Generator(np.random.PCG64(0))
        signs = generator.choice((1.0, -1.0), (FLIPS, count))
        signs[0] = 1.0  # what was observed is one of them
    means = np.abs(signs @ differences)
    observed = abs(float(differences.sum()))
    return float(np.mean(means >= observed - 1e-12))


@dataclass(frozen=True)
class PairedAccuracy:
    """Two backends' accuracy on the same examples with the same seeds. Shares, not percent."""

    verdict: Verdict
    difference: float  # accuracy of the first minus the second, mean over seeds
    interval: Interval  # 95 %, over other seeds and other examples
    narrow: Interval  # 90 %: inside the margin, two one-sided tests at 5 % reject
    margin: float
    p_value: float  # sign-flip test over seeds
    first_better: float  # P(A > B): share of seeds, a tie counts half
    first_better_interval: Interval
    seeds: int
    examples: int
    # How many would be needed for a verdict if all stays as it is; None: more of these cannot give one.
    seeds_needed: int | None = None
    examples_needed: int | None = None


def compare(first: np.ndarray, second: np.ndarray, margin: float) -> PairedAccuracy:
    """Compares which answers are right: bool (seeds, examples) of two backends, seed by seed.

    'equivalent': the 90 % interval of the difference lies inside ± margin, which is the two
    one-sided tests (Schuirmann 1987) at 5 %. 'different': the 95 % interval excludes 0 and the
    sign-flip test gives at most 0.05, for which 6 seeds are needed. A difference can be both real
    and inside the margin: then it is 'equivalent'. All else is 'unknown'.

    Errors: ValueError for shapes that differ, one seed, or a margin that is not above 0."""
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} are not pairs")
    if not margin > 0:
        raise ValueError(f"margin {margin} is not above 0")
    mean = crossed_mean(first.astype(np.float64) - second)
    by_seed = first.mean(axis=1) - second.mean(axis=1)
    wide, narrow, p_value = mean.interval(), mean.interval(0.90), sign_flip(by_seed)
    verdict: Verdict = "unknown"
    if -margin < narrow.low and narrow.high < margin:
        verdict = "equivalent"
    elif (wide.low > 0 or wide.high < 0) and p_value <= 0.05:
        verdict = "different"
    wins = float((by_seed > 0).sum() + (by_seed == 0).sum() / 2)
    seeds_needed, examples_needed = needed(mean, margin) if verdict == "unknown" else (None, None)
    return PairedAccuracy(
        verdict,
        mean.value,
        wide,
        narrow,
        margin,
        p_value,
        wins / len(by_seed),
        wilson(wins, len(by_seed)),
        mean.seeds,
        mean.examples,
        seeds_needed,
        examples_needed,
    )


def needed(mean: CrossedMean, margin: float) -> tuple[int | None, int | None]:
    """(seeds at the present examples, examples at the present seeds) that would give a verdict if
    the difference and its variances stay as they are; None where no number would."""
    seeds = next(
        (
            n
            for n in range(mean.seeds + 1, MOST_SEEDS + 1)
            if _decides(mean, n, mean.examples, margin)
        ),
        None,
    )
    examples = mean.examples * 2
    while examples <= MOST_EXAMPLES and not _decides(mean, mean.seeds, examples, margin):
        examples *= 2
    return seeds, examples if examples <= MOST_EXAMPLES else None


def _decides(mean: CrossedMean, seeds: int, examples: int, margin: float) -> bool:
    """Whether an interval of so many would show equivalence or a difference."""
    error, distance = mean.standard_error(seeds, examples), abs(mean.value)
    wide = float(special.stdtrit(seeds - 1, 0.975)) * error
    narrow = float(special.stdtrit(seeds - 1, 0.95)) * error
    return distance + narrow < margin or (seeds >= FEWEST_SEEDS and distance > wide)


def collapsed(predicted: np.ndarray) -> bool:
    """Whether a training failed: it predicts one label for all examples, int (examples,)."""
    return bool((predicted == predicted[0]).all())


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the same predicted label of two backends, int (examples,) or (seeds, examples)."""
    return float(np.mean(first == second))


def agreement_between_seeds(predicted: np.ndarray) -> float | None:
    """Share of the same predicted label over all pairs of seeds of one backend, int
    (seeds, examples): what another seed alone changes. None for a single seed."""
    pairs = comb(len(predicted), 2)
    if not pairs:
        return None
    return sum(float(np.mean(a == b)) for a, b in itertools.combinations(predicted, 2)) / pairs
