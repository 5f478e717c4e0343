"""A job that is ready to run, its worker, and the measurement that comes out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks.harness.jobs.events import Event, FrameworkLoaded
from benchmarks.harness.jobs.job import Job
from benchmarks.harness.jobs.process import WorkerEnded, WorkerProcess
from benchmarks.harness.machine import packages
from benchmarks.harness.plan.plan import JobSpec
from results.schema import (
    Checkpoint,
    Data,
    Device,
    JobKey,
    Measurement,
    Status,
)


@dataclass(frozen=True)
class Ready:
    """A job that can run, with the description of its input for the measurement."""

    job: Job
    data: Data
    checkpoint: Checkpoint
    where: Environment  # that the worker runs in


@dataclass(frozen=True)
class Excluded:
    """A job that cannot run here, and the reason."""

    spec: JobSpec
    status: Status
    reason: str


Watch = Callable[[JobKey, Event], None]  # called with every event of every worker


@dataclass
class Attempt:
    """One job's worker, from its start to its measurement; a context manager that leaves no
    process behind."""

    ready: Ready
    folder: Path  # the run's
    device: Device
    watch: Watch
    worker: WorkerProcess = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._began = time.monotonic()
        self._loaded = False
        key = self.ready.job.key
        self.worker = WorkerProcess(
            self.ready.job, self.folder, lambda e: self.watch(key, e), self.ready.where.python
        )

    def load(self) -> None:
        """Waits until the framework is imported. A job that is timed then waits for a command.

        Errors: WorkerEnded."""
        if not self._loaded:
            self.worker.expect(FrameworkLoaded)
            self._loaded = True

    @property
    def seconds(self) -> float:
        """Since the worker was started."""
        return time.monotonic() - self._began

    def measurement(self, status: Status, **fields: Any) -> Measurement:
        """This job's measurement, with the description of its input and its machine."""
        return measurement_of(
            self.ready,
            self.device,
            status,
            started_at=self.started_at,
            seconds=self.seconds,
            **fields,
        )

    def ended(self, error: WorkerEnded) -> Measurement:
        return self.measurement(error.status, reason=error.reason, stderr_tail=error.stderr_tail)

    def interrupted(self) -> Measurement:
        return self.measurement(
            "interrupted",
            reason="the run was stopped while this job ran",
            stderr_tail=self.worker.stderr_tail(),
        )

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.worker.__exit__(kind, error, trace)


def measurement_of(ready: Ready, device: Device, status: Status, **fields: Any) -> Measurement:
    """A job's measurement, with the description of its input and its machine."""
    job = ready.job
    return Measurement(
        job=job.key,
        status=status,
        recipe=job.recipe.model_dump(),
        data=ready.data,
        checkpoint=ready.checkpoint,
        device=device,
        versions=ready.where.versions,
        environment=job.environment,
        **fields,
    )


def excluded_measurement(excluded: Excluded, device: Device) -> Measurement:
    return Measurement(
        job=excluded.spec.key,
        status=excluded.status,
        reason=excluded.reason,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        recipe=excluded.spec.recipe.model_dump(),
        device=device,
        versions=packages.versions(),
    )


class Environment(BaseModel):
    """A Python interpreter and the packages that are installed for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: Path
    versions: dict[str, str]


def here() -> Environment:
    return Environment(python=Path(sys.executable), versions=packages.versions())
