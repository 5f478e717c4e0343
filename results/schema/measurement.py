"""One measurement: one job's outcome, with its payload or the reason why there is none.

Field names end in their units. A figure that could not be measured is None, never 0, and `gaps`
holds the reason under the figure's name.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Field

from results.schema.accuracy import Accuracy
from results.schema.equivalence import Trace
from results.schema.job import Checkpoint, Data, Device, Gap, JobKey, Record, Status, Versioned
from results.schema.limits import BatchLimit
from results.schema.memory import Memory
from results.schema.speed import Throughput

Payload = Annotated[
    Throughput | Memory | BatchLimit | Accuracy | Trace, Field(discriminator="question")
]
P = TypeVar("P", Throughput, Memory, BatchLimit, Accuracy, Trace)
# Schema version 1 keeps the payload under its own name, in one of five fields.
OLD_PAYLOADS = {
    "throughput": "throughput",
    "memory": "memory",
    "batch_limit": "batch_limit",
    "accuracy": "accuracy",
    "trace": "equivalence",
}


class Measurement(Versioned):
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
    payload: Payload | None = None  # what the job measured; None: nothing, see status and reason

    @classmethod
    def from_version_1(cls, raw: dict[str, Any]) -> dict[str, Any]:
        fields = dict(raw)
        old = {name: fields.pop(name) for name in OLD_PAYLOADS if name in fields}
        found = {OLD_PAYLOADS[name]: value for name, value in old.items() if value is not None}
        if len(found) > 1:
            raise ValueError(f"more than one payload: {', '.join(found)}")
        for question, value in found.items():
            fields["payload"] = (
                {**value, "question": question} if isinstance(value, dict) else value
            )
        return fields

    def payload_as(self, kind: type[P]) -> P | None:
        """The payload where it is of that kind."""
        return self.payload if isinstance(self.payload, kind) else None

    def require(self, kind: type[P]) -> P:
        """The payload of that kind. Errors: ValueError where the measurement has none."""
        if not isinstance(self.payload, kind):
            raise ValueError(f"{self.job.id} has no {kind.__name__}: {self.reason or self.status}")
        return self.payload

    @property
    def throughput(self) -> Throughput | None:
        return self.payload_as(Throughput)

    @property
    def memory(self) -> Memory | None:
        return self.payload_as(Memory)

    @property
    def batch_limit(self) -> BatchLimit | None:
        return self.payload_as(BatchLimit)

    @property
    def accuracy(self) -> Accuracy | None:
        return self.payload_as(Accuracy)

    @property
    def trace(self) -> Trace | None:
        return self.payload_as(Trace)


DEFAULT_MARGIN = 0.01  # 1 point


class TrackerOutcome(Record):
    """What became of a tracker that a run was asked to use."""

    tracker: str
    trainings: int  # that it was sent
    problem: str | None = None  # why it stopped, in one line


class RunInfo(Versioned):
    """One call on one machine: `run.json` of a run's folder."""

    run: str
    profile: str
    command: str  # takes the same figures again
    started_at: str
    ftbench_version: str  # '0.1.0 at COMMIT', '+changes' after it where files differed
    device: Device
    # Shares: accuracies that differ by less are called equal; what a task's training aims at.
    accuracy_margin: float = DEFAULT_MARGIN
    target_accuracies: dict[str, float] = Field(default_factory=dict)
    left_out: list[str] = Field(default_factory=list)  # variables of the shell, without values
    trackers: list[TrackerOutcome] = Field(default_factory=list)  # a resumed run has more of each

    @property
    def commit(self) -> str | None:
        """The code that took the figures; None where that is not known."""
        _, _, commit = self.ftbench_version.partition(" at ")
        return commit if commit and not commit.endswith("+changes") else None
