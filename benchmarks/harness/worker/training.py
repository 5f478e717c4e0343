"""A job's training: its loop under its watch, and the precision read back after the first step."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from benchmarks.harness.jobs.job import Job
from frameworks.contract import Precision, Session, Watch


class PrecisionOverridden(Exception):
    """The framework ran in another precision than the recipe asks for."""


class Checked:
    """A watch that reads the precision back from the framework after the first step, before
    anything is counted: one that another switch overrode is an error, not a surprise."""

    def __init__(self, watch: Watch, session: Session, precision: Precision) -> None:
        self._watch, self._session, self._precision = watch, session, precision

    def begin(self) -> None:
        self._watch.begin()

    def step_end(self, step: int) -> bool:
        if step == 1:
            check_precision(self._session.precision_in_force(), self._precision)
        return self._watch.step_end(step)


def check_precision(in_force: Precision, wanted: Precision) -> None:
    """Errors: PrecisionOverridden where the two differ."""
    if in_force != wanted:
        raise PrecisionOverridden(
            f"the recipe says precision {wanted!r}, but after the first step the framework runs "
            f"in {in_force!r}: another switch overrides it"
        )


def effective(session: Session) -> dict[str, Any]:
    """The settings in force, read back from the framework, as a measurement keeps them."""
    settings = session.effective()
    return asdict(replace(settings, details=dict(settings.details)))


def run(job: Job, session: Session, watch: Watch) -> None:
    """The framework's own loop, or its barest one where the job is the control."""
    checked = Checked(watch, session, job.recipe.precision)
    if job.key.role == "control":
        session.train_bare(checked)
    else:
        session.train(checked)
