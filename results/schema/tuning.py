"""What tuning found."""

from __future__ import annotations

from typing import Any, Literal

from results.schema.job import Record, Versioned


class TuningStep(Record):
    """One lever raced against a recipe."""

    lever: str
    against: str  # 'plain', or the levers together that it was added to
    gain: float | None  # examples per second over the other's, in one race
    gain_low: float | None  # 95 % interval, or wider: see `Tuning.levers_tried`
    gain_high: float | None
    kept: bool
    reason: str | None  # why there is no gain or no interval: it cannot run, or it lost early


class TuningDropped(Record):
    """Levers that gained and were dropped all the same."""

    levers: str
    reason: str


Verdict = Literal[
    "holds",  # the interval ends no lower than the margin below 0
    "cannot_tell",  # it ends lower, and reaches the margin: too few seeds or examples
    "does_not_hold",  # it lies below the margin
]


class TuningAccuracy(Record):
    """The tuned recipe against the plain one on the same examples, means over the seeds."""

    evaluation_set: str
    examples: int
    seeds: list[int]
    plain: float
    tuned: float
    difference: float
    difference_low: float | None  # 95 % interval, about other seeds and other examples
    difference_high: float | None  # None: a single seed has no interval
    margin: float
    verdict: Verdict


class Tuning(Versioned):
    """The fastest recipe found for one backend on one task: `tuning.json` of a run's folder."""

    backend: str
    task: str
    plain_recipe: dict[str, Any]
    levers: list[str]  # of the winner; empty: the plain recipe stays
    tuned_fields: dict[str, Any]  # where the winner differs
    tuned_environment: dict[str, str]  # variables of its worker
    steps: list[TuningStep]
    # The intervals of the steps are corrected for so many levers; None in files of earlier versions.
    levers_tried: int | None = None
    dropped: list[TuningDropped]
    gain: float | None  # the winner over the plain recipe, in a race of its own; None: plain stays
    gain_low: float | None
    gain_high: float | None
    accuracy: (
        TuningAccuracy | None
    )  # of the winner; None: the plain recipe stays, or it was not measured
    no_accuracy: str | None  # why it was not measured, such as random weights
    plain_matmul_share: float | None  # model FLOP/s over the matmul rate in its precision
    tuned_matmul_share: float | None
