"""How often an accuracy verdict is wrong: a simulation with known truth.

    python -m benchmarks.studies.accuracy_verdicts [REPETITIONS]

Made-up classifiers: an example is answered right when its easiness, the seed's quality and chance
add up to more than 0, so that seeds and examples both matter and the true accuracies are known. For
every case the study prints how often the 95 % interval of the difference holds the truth, how often
the multi-bootstrap's percentile interval does (MultiBERTs, arXiv 2106.16163), how often two equal
backends are called different, and how often two whose true difference is the margin are called
equivalent. The last two should be at most 5 %.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from results.analysis.accuracy.evidence import compare
from results.analysis.statistics import Interval

EASINESS = 1.4  # mean over examples, in standard deviations: accuracies of about 90 %
CHANCE = 0.4  # standard deviation of what is new in every seed and example
MARGIN = 0.01


@dataclass(frozen=True)
class Case:
    seeds: int
    examples: int
    seed_spread: (
        float  # standard deviation of a seed's quality; 0.05 moves an accuracy by 0.8 points
    )


@dataclass(frozen=True)
class Rates:
    """Shares of repetitions, 0 to 1."""

    coverage: float
    bootstrap_coverage: float
    false_different: float  # equal backends
    false_equivalent: float  # the true difference is the margin


CASES = [
    Case(seeds, examples, spread)
    for seeds, examples in ((3, 1000), (6, 320), (6, 2000))
    for spread in (0.0, 0.05, 0.1)
]


def true_difference(case: Case, lead: float) -> float:
    """Accuracy of a backend whose quality is higher by `lead`, minus that of one without."""
    spread = np.sqrt(1 + case.seed_spread**2 + CHANCE**2)
    return float(special.ndtr((EASINESS + lead) / spread) - special.ndtr(EASINESS / spread))


def lead_for(case: Case, difference: float) -> float:
    return float(optimize.brentq(lambda lead: true_difference(case, lead) - difference, 0, 3))


def draw(case: Case, lead: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which answers are right, bool (seeds, examples) of the better and of the other backend."""
    easiness = generator.normal(EASINESS, 1, case.examples)

    def answers(quality: float) -> np.ndarray:
        seeds = generator.normal(quality, case.seed_spread, (case.seeds, 1))
        chance = generator.normal(0, CHANCE, (case.seeds, case.examples))
        right: np.ndarray = easiness + seeds + chance > 0
        return right

    return answers(lead), answers(0.0)


def multi_bootstrap(
    table: np.ndarray, generator: np.random.Generator, draws: int = 500
) -> Interval:
    """Percentile interval of the mean of (seeds, examples) that resamples both."""
    seeds, examples = table.shape
    by_seed = generator.multinomial(seeds, np.full(seeds, 1 / seeds), draws) / seeds
    by_example = generator.multinomial(examples, np.full(examples, 1 / examples), draws) / examples
    means = ((by_seed @ table) * by_example).sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def rates(case: Case, repetitions: int, seed: int = 0, bootstrap: bool = True) -> Rates:
    generator = np.random.Generator(np.random.PCG64(seed))
    half, edge = lead_for(case, MARGIN / 2), lead_for(case, MARGIN)
    held = resampled = different = equivalent = 0
    for _ in range(repetitions):
        first, second = draw(case, half, generator)
        held += _holds(compare(first, second, MARGIN).interval, MARGIN / 2)
        if bootstrap:
            table = first.astype(np.float64) - second
            resampled += _holds(multi_bootstrap(table, generator), MARGIN / 2)
        different += compare(*draw(case, 0.0, generator), MARGIN).verdict == "different"
        equivalent += compare(*draw(case, edge, generator), MARGIN).verdict == "equivalent"
    return Rates(*(n / repetitions for n in (held, resampled, different, equivalent)))


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def main(repetitions: int = 1000) -> None:
    print(f"{repetitions} repetitions a case; margin {100 * MARGIN:g} points; shares in %\n")
    print(
        "| seeds | examples | spread of seeds | interval holds the truth | multi-bootstrap holds it "
        "| equal called different | different by the margin called equivalent |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for case in CASES:
        found = rates(case, repetitions)
        figures = (
            found.coverage,
            found.bootstrap_coverage,
            found.false_different,
            found.false_equivalent,
        )
        cells = " | ".join(f"{100 * figure:.1f}" for figure in figures)
        print(f"| {case.seeds} | {case.examples:,} | {case.seed_spread:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
