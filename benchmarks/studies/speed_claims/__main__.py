"""How often are the claims about speed wrong, and how often are they made?

    python -m benchmarks.studies.speed_claims

Simulates races whose true speeds are known, on the noise of published windows and on made-up noise,
and prints how often the rules of `results.analysis.verdict` name a false winner, how often their
intervals hold the truth, and how often they find a difference that is there. Ends with exit code 1 where a
goal is missed. Seeded: the same number of races gives the same figures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from benchmarks.studies.speed_claims import rules
from benchmarks.studies.speed_claims.noise import Noise, kinds
from results.schema import LOOKS

LAUNCHES, ROUNDS = 6, 3  # of the default race
ONE_LAUNCH_ROUNDS = 9
# Goals: at most so many false winners; coverage between the two; power at a true 5 %, by noise.
MOST_FALSE, COVERAGE = 0.05, (0.93, 0.97)
POWER = {"speed, IMDb": 0.45, "levers, TensorFlow": 0.60}
HEAD = (
    "| noise | launch sd | false winner, 2 / 3 / 4 equals | interval holds the truth | "
    "5 % found / 10 % | equals called equal | true 5 % called equal | until decided: false / 5 % found / launches | "
    "one launch: false / 10 % found | before 0.2: false / 5 % found / 10 % |"
)


@dataclass(frozen=True)
class Outcome:
    """Shares of the simulated races of one kind of noise."""

    noise: Noise
    races: int
    false_winner: tuple[float, float, float]  # of 2, 3 and 4 equals
    coverage: float
    power: tuple[float, float]  # at a true 5 and 10 %
    equal: float  # of equals
    falsely_equal: float  # of a true 5 %
    looks: tuple[float, float, float]  # false winner, power at 5 %, launches taken by equals
    one_launch: tuple[float, float]  # false winner, power at 10 %
    before: tuple[float, float, float]  # false winner, power at 5 and 10 %

    def misses(self) -> list[str]:
        """The goals that it misses by more than three standard errors of the simulation."""

        def slack(share: float) -> float:
            return 3 * sqrt(share * (1 - share) / self.races)

        found = []
        for what, share in (
            *zip(("2 equals", "3 equals", "4 equals"), self.false_winner, strict=True),
            ("2 equals until decided", self.looks[0]),
            ("2 equals in one launch", self.one_launch[0]),
            ("a true 5 % called equal", self.falsely_equal),
        ):
            if share > MOST_FALSE + slack(MOST_FALSE):
                found.append(f"{self.name}: {share:.1%} false claims of {what}")
        low, high = COVERAGE
        if not low - slack(low) <= self.coverage <= high + slack(high):
            found.append(f"{self.name}: intervals hold the truth in {self.coverage:.1%}")
        goal = POWER.get(self.noise.name, 0)
        if self.power[0] < goal - slack(goal):
            found.append(f"{self.name}: finds a true 5 % in {self.power[0]:.1%}")
        return found

    @property
    def name(self) -> str:
        return f"{self.noise.name}, launch sd {100 * self.noise.launch_sd:.1f} %"

    def row(self) -> str:
        def shares(*values: float) -> str:
            return " / ".join(f"{100 * value:.1f}" for value in values)

        cells = [
            self.noise.name,
            f"{100 * self.noise.launch_sd:.1f}",
            shares(*self.false_winner),
            shares(self.coverage),
            shares(*self.power),
            shares(self.equal),
            shares(self.falsely_equal),
            f"{shares(*self.looks[:2])} / {self.looks[2]:.1f}",
            shares(*self.one_launch),
            shares(*self.before),
        ]
        return f"| {' | '.join(cells)} |"


def simulate(noise: Noise, races: int, seed: int = 0) -> Outcome:
    generator = np.random.default_rng(seed)
    five, ten = log(1.05), log(1.1)

    def race(participants: int, launches: int, rounds: int, advantage: float = 0.0) -> np.ndarray:
        return noise.race(generator, (races, participants, launches, rounds), advantage)

    def share(true: np.ndarray) -> float:
        return float(np.mean(true))

    equals = [race(k, LAUNCHES, ROUNDS) for k in (2, 3, 4)]
    two, three, four = (share(rules.winners(logs) != rules.NOBODY) for logs in equals)
    at_five, at_ten = (race(2, LAUNCHES, ROUNDS, lead) for lead in (five, ten))
    null = rules.sequential(race(2, LOOKS[-1], ROUNDS))
    led = rules.sequential(race(2, LOOKS[-1], ROUNDS, five))
    return Outcome(
        noise,
        races,
        false_winner=(two, three, four),
        coverage=share(rules.covers(at_five, five)),
        power=(share(rules.winners(at_five) == 0), share(rules.winners(at_ten) == 0)),
        equal=share(rules.equal(equals[0])),
        falsely_equal=share(rules.equal(at_five)),
        looks=(share(null[0] != rules.NOBODY), share(led[0] == 0), float(null[2].mean())),
        one_launch=(
            share(rules.winners_of_one_launch(race(2, 1, ONE_LAUNCH_ROUNDS)) != rules.NOBODY),
            share(rules.winners_of_one_launch(race(2, 1, ONE_LAUNCH_ROUNDS, ten)) == 0),
        ),
        before=_before(noise, races, generator),
    )


def _before(noise: Noise, races: int, generator: np.random.Generator) -> tuple[float, float, float]:
    """The rule of earlier versions: 12 windows of one launch, and an A/A pair."""
    found = []
    for lead in (0.0, log(1.05), log(1.1)):
        logs = noise.race(generator, (races, 3, 1, 12), lead)
        again = logs[:, 2, 0] - lead  # the third is the first once more
        won = rules.winners_before(logs[:, :2], again)
        found.append(float(np.mean(won == 0 if lead else won != rules.NOBODY)))
    return found[0], found[1], found[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.speed_claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--races", type=int, default=10_000, help="simulated for every figure")
    options = parser.parse_args(arguments)
    print(f"In % of {options.races:,} simulated races for every figure\n\n{HEAD}")
    print(f"|{' --- |' * (HEAD.count('|') - 1)}")
    missed = []
    for noise in kinds():
        outcome = simulate(noise, options.races)
        print(outcome.row(), flush=True)
        missed += outcome.misses()
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
