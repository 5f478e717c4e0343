"""How far predictions are from what was measured. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from results.analysis.statistics import median
from results.schema import PredictionCase

# What a prediction is held to.
MEDIAN_GOAL, WORST_GOAL = 0.016, 0.05  # of a peak: absolute error, as a share
WITHIN_STEP_GOAL, BROKEN_GOAL = 0.95, 0.02  # of a limit: shares of the cases

Verdict = Literal["right", "too low", "too high", "undecided"]


@dataclass(frozen=True)
class Share:
    """`part` of `whole` cases."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole


@dataclass(frozen=True)
class Errors:
    """Errors of predictions of one unit, as shares of what was measured."""

    cases: int
    median: float | None  # absolute; None where nothing above 0 was found
    worst: float | None  # signed
    lean: float | None  # median of the signed errors: above 0 promises too much
    inside: Share | None = None  # what was measured lies in the predicted range
    undecided: int = 0  # limits
    # Of the other limits:
    within_step: Share | None = None  # of the search
    worst_steps: int | None = None  # signed
    # Of what is promised, the lower end of the range:
    broken: Share | None = None  # it failed
    cost: float | None = None  # median of how far it lies below what fitted, as a share


def judge(case: PredictionCase, batch: float | None = None) -> Verdict:
    """A predicted limit, or another batch, against the proof: between what fitted and what failed
    nothing is known. Where nothing failed, what fitted is a lower bound, and wrong is only less."""
    batch = case.predicted if batch is None else batch
    if batch < case.measured:
        return "too low"
    if case.fails_at is not None and batch >= case.fails_at:
        return "too high"
    return "right" if batch == case.measured or case.fails_at is None else "undecided"


def is_inside(case: PredictionCase) -> bool:
    """Whether what was found lies in the predicted range; a lower bound may lie below it."""
    bound = case.unit == "examples" and case.fails_at is None
    return (bound or case.low <= case.measured) and case.measured <= case.high


def error_of(case: PredictionCase) -> float | None:
    """(predicted - measured) / measured; None where that is not a number, and of a limit that may be
    right without being the one that was found."""
    if not case.measured > 0:
        return None
    if case.unit == "examples" and case.predicted > case.measured and judge(case) != "too high":
        return None
    error = (case.predicted - case.measured) / case.measured
    return error if isfinite(error) else None


def errors(cases: Sequence[PredictionCase]) -> Errors:
    """Of cases of one unit."""
    signed = [error for case in cases if (error := error_of(case)) is not None]
    decided = [c for c in cases if c.unit == "bytes" or judge(c) != "undecided"]
    limits = [c for c in decided if c.unit == "examples"]
    steps = [0 if judge(c) == "right" else c.steps for c in limits]
    known = [n for n in steps if n is not None]
    within = [is_inside(c) for c in decided]
    promises = [c for c in limits if judge(c, c.low) != "undecided"]
    broken = [judge(c, c.low) == "too high" for c in promises]
    costs = [
        (c.measured - c.low) / c.measured
        for c in promises
        if c.fails_at is not None and c.measured > 0
    ]
    return Errors(
        len(cases),
        median([abs(error) for error in signed]) if signed else None,
        max(signed, key=abs) if signed else None,
        median(signed) if signed else None,
        Share(sum(within), len(within)) if within else None,
        len(cases) - len(decided),
        Share(sum(abs(n) <= 1 for n in known), len(known)) if known else None,
        max(known, key=abs) if known else None,
        Share(sum(broken), len(broken)) if broken else None,
        median(costs) if costs else None,
    )
