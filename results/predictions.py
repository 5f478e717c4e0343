"""How far predictions lay from what was found. Pure: no file is written, no text is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from results.schema import PredictionCase
from results.statistics import median

# What a prediction is held to.
MEDIAN_GOAL, WORST_GOAL = 0.016, 0.05  # of a peak: absolute error, as a share
WITHIN_STEP_GOAL, BROKEN_GOAL = 0.95, 0.02  # of a limit: shares of the cases

Promise = Literal["right", "too low", "broken", "undecided"]


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
    """How far predictions of one unit lay from what was found; shares of what was found."""

    cases: int
    median: float | None  # absolute; None where nothing above 0 was found
    worst: float | None  # signed
    lean: float | None  # median of the signed errors: above 0 promises too much
    undecided: int = 0  # limits
    # Of the other limits:
    within_step: Share | None = None  # of the search
    worst_steps: int | None = None  # signed
    broken: Share | None = None  # a batch was promised that had failed


def judged(case: PredictionCase) -> Promise:
    """A predicted limit against the proof: between what fitted and what failed nothing is known.
    Where nothing failed, what fitted is a lower bound, and wrong is only less."""
    if case.predicted < case.measured:
        return "too low"
    if case.fails_at is not None and case.predicted >= case.fails_at:
        return "broken"
    return "right" if case.predicted == case.measured or case.fails_at is None else "undecided"


def error_of(case: PredictionCase) -> float | None:
    """(predicted - measured) / measured; None where that is no number, and of a limit that may be
    right without being the one that was found."""
    if not case.measured > 0:
        return None
    if case.unit == "examples" and case.predicted > case.measured and judged(case) != "broken":
        return None
    error = (case.predicted - case.measured) / case.measured
    return error if isfinite(error) else None


def errors(cases: Sequence[PredictionCase]) -> Errors:
    """Of cases of one unit."""
    signed = [error for case in cases if (error := error_of(case)) is not None]
    limits = [c for c in cases if c.unit == "examples" and judged(c) != "undecided"]
    steps = [0 if judged(c) == "right" else c.steps for c in limits]
    known = [n for n in steps if n is not None]
    broken = [judged(c) == "broken" for c in limits]
    return Errors(
        len(cases),
        median([abs(error) for error in signed]) if signed else None,
        max(signed, key=abs) if signed else None,
        median(signed) if signed else None,
        sum(c.unit == "examples" for c in cases) - len(limits),
        Share(sum(abs(n) <= 1 for n in known), len(known)) if known else None,
        max(known, key=abs) if known else None,
        Share(sum(broken), len(broken)) if broken else None)
