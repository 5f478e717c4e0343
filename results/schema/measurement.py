"""One measurement: one job's outcome, its figures or why there are none.

Units stand in the field names. A figure that could not be taken is None, and `gaps` says why
under the figure's name; it is never 0.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from results.schema.accuracy import Accuracy
from results.schema.equivalence import Trace
from results.schema.job import Checkpoint, Data, Device, Gap, JobKey, Record, Status
from results.schema.limits import BatchLimit
from results.schema.memory import Memory
from results.schema.speed import Throughput


class Measurement(Record):
    schema_version: Literal[1] = 1
    job: JobKey
    status: Status
    reason: str | None = None  # one line, whenever status is not 'ok'
    stderr_tail: list[str] = Field(default_factory=list)
    started_at: str  # ISO 8601, UTC
    seconds: float  # the whole job, worker start to end
    recipe: dict[str, Any]
    data: Data | None = None
    checkpoint: Checkpoint | None = None
    device: Device
    versions: dict[str, str] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)  # variables set for the worker
    effective: dict[str, Any] | None = None  # settings read back from the framework
    gaps: dict[str, Gap] = Field(default_factory=dict)  # why a figure is None
    throughput: Throughput | None = None
    memory: Memory | None = None
    batch_limit: BatchLimit | None = None
    accuracy: Accuracy | None = None
    trace: Trace | None = None


class RunInfo(Record):
    """One call on one machine: `run.json` of a run's folder."""

    schema_version: Literal[1] = 1
    run: str
    profile: str
    command: str  # takes the same figures again
    started_at: str
    ftbench_version: str  # '0.1.0 at COMMIT', '+changes' after it where files differed
    device: Device

    @property
    def commit(self) -> str | None:
        """The code that took the figures; None where that is not known."""
        _, _, commit = self.ftbench_version.partition(" at ")
        return commit if commit and not commit.endswith("+changes") else None
