"""Runs a job's training loop, and reads the precision back after the first step."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from benchmarks.harness.jobs.job import Job
from frameworks.contract import Precision, Session, Watch


class PrecisionOverridden(Exception):
    """The framework runs in a different precision than the recipe."""


class Checked:
    """A watch that reads the precision back from the framework after the first step, before
    anything is measured. If another switch has overridden it, the job fails."""

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
            f"precision {wanted!r} is in the recipe, but after the first step the framework runs in "
            f"{in_force!r}: remove the setting that overrides it"
        )


def effective(session: Session) -> dict[str, Any]:
    """The settings in effect, read back from the framework, in the form of a measurement."""
    settings, device = session.effective(), session.found_device()
    details = dict(settings.details)
    if device.kind == "gpu":
        details |= {"device_name": device.name, "device_memory_bytes": device.memory_bytes}
    return asdict(replace(settings, details=details))


def run(job: Job, session: Session, watch: Watch) -> None:
    """Runs the framework's own loop, or its barest one if the job is the control."""
    checked = Checked(watch, session, job.recipe.precision)
    if job.key.role == "control":
        session.train_bare(checked)
    else:
        session.train(checked)
