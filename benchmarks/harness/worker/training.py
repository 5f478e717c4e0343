"""Runs a job's training loop. After the first step the recipe is compared with what the framework
runs, and again when the settings are read for the record: a difference fails the job."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from benchmarks.harness.jobs.job import Job
from benchmarks.harness.machine.conditions import conditions
from benchmarks.harness.worker.in_force import differences
from frameworks.contract import Effective, InForce, Session, class_name


class RecipeOverridden(Exception):
    """The framework does not run the recipe. The message names the field and both values."""


class JobWatch:
    """How a job follows its training; a job overrides what it needs."""

    def begin(self) -> None:
        """See `Watch`."""

    def first_step(self, seconds: float, check_seconds: float) -> None:
        """The first step took `seconds` from the loop's call, all the device's work included, and
        the check of the recipe after it `check_seconds`."""

    def step_end(self, step: int) -> bool:
        """See `Watch`."""
        return False


class Checked:
    """A watch that times the first step of this process and then compares the recipe with what the
    framework runs, before anything is measured."""

    def __init__(self, watch: JobWatch, session: Session) -> None:
        self._watch, self._session = watch, session
        self._called, self._checked = time.perf_counter(), False

    def begin(self) -> None:
        self._watch.begin()

    def step_end(self, step: int) -> bool:
        if not self._checked:
            self._checked = True
            self._session.device.synchronize()
            ended = time.perf_counter()
            check(self._session, self._session.effective(), step)
            self._watch.first_step(ended - self._called, time.perf_counter() - ended)
        return self._watch.step_end(step)


def check(session: Session, settings: Effective, steps: int) -> None:
    """Errors: RecipeOverridden where the recipe differs from what runs after `steps` steps."""
    found = differences(session.spec, settings, steps)
    if found:
        raise RecipeOverridden("; also: ".join(found))


def effective(session: Session, steps: int) -> dict[str, Any]:
    """The settings in effect after `steps` steps, read back from the framework, and the conditions of
    its process, in the form of a measurement. Errors: RecipeOverridden."""
    settings, device = session.effective(), session.device.found_device()
    check(session, settings, steps)
    details = dict(settings.details)
    if settings.threads is not None:
        details["threads"] = settings.threads  # where earlier files have it
    if device.kind == "gpu":
        details |= {"device_name": device.name, "device_memory_bytes": device.memory_bytes}
    if settings.in_force is not None:
        details |= summary(settings.in_force)
    if own := session.spec.callbacks:
        details["callbacks"] = ", ".join(map(class_name, own))
    fields = asdict(replace(settings, details=details, in_force=None))
    del fields["in_force"]
    return fields | conditions()


def summary(found: InForce) -> dict[str, str | float | bool | None]:
    """What was read back of the recipe, for the report; without what this training does not have."""
    groups = found.groups
    decayed = sum(len(group.parameters) for group in groups if group.weight_decay)
    tensors = sum(len(group.parameters) for group in groups)
    rows, widths = [shape[0] for shape in found.batches], [shape[1] for shape in found.batches]
    facts: dict[str, str | float | bool | None] = {
        "tensors_with_weight_decay": f"{decayed} of {tensors}",
        "weight_decay": max((group.weight_decay for group in groups), default=None),
        "clipped_at": found.max_gradient_norm,
        "dropout_rates": ", ".join(f"{rate:g}" for rate in sorted(set(found.dropout.values()))),
        "batch_rows": _span(rows),
        "batch_widths": _span(widths),
        "batches": float(len(rows)),
    }
    if found.loss_input == "probabilities":
        facts["loss_takes"] = found.loss_input
    for name in ("beta1", "beta2", "epsilon"):
        facts[name] = getattr(groups[0], name) if groups else None
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _span(numbers: list[int]) -> str | None:
    """'32', '5 to 32'; None for no number."""
    if not numbers:
        return None
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def run(job: Job, session: Session, watch: JobWatch) -> None:
    """Runs the framework's own loop, or its barest one if the job is the control.

    Errors: RecipeOverridden."""
    checked = Checked(watch, session)
    if job.key.role == "control":
        session.train_bare(checked)
    else:
        session.train(checked)
