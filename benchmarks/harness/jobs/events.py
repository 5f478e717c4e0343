"""What a worker reports to its parent: one JSON object per line, one class per kind.

`Event` is a union that the field `event` tells apart. A worker sends any number of progress events
and ends with one result or with `WorkerFailed`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from results.schema import Accuracy, CurvePoint, EvaluationPoint, Gap, Memory, Phase, Status, Trace

# What a parent sends to a worker that waits: build the model, or take a window; leave the training
# loop, so that the next windows are of evaluation; take no more windows and give the result.
Command = Literal["go", "evaluate", "stop"]
COMMANDS: dict[str, Command] = {"go": "go", "evaluate": "evaluate", "stop": "stop"}


class _Event(BaseModel):
    # A loss that diverged is written as "NaN": JSON has no such number.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class FrameworkLoaded(_Event):
    """The framework is imported, and a CPU's memory budget is in force. The worker of a throughput
    or accuracy job then waits for a command before it builds the model."""

    event: Literal["framework_loaded"] = "framework_loaded"


class Building(_Event):
    """The model, its optimizer and its data are about to be built."""

    event: Literal["building"] = "building"


class StepEnded(_Event):
    """An optimizer step of a memory job."""

    event: Literal["step_ended"] = "step_ended"
    step: int


class TrainingProgress(_Event):
    """How far an accuracy or an equivalence job has come; at most once a second."""

    event: Literal["training_progress"] = "training_progress"
    step: int
    total: int
    loss: float
    seconds: float  # of training so far
    points: list[CurvePoint] = []  # of the learning curve, where it is tracked: those not yet sent


class EvaluationBegan(_Event):
    event: Literal["evaluation_began"] = "evaluation_began"
    evaluation_set: str
    examples: int
    step: int


class EvaluationEnded(_Event):
    """All evaluation sets of an accuracy job are scored."""

    event: Literal["evaluation_ended"] = "evaluation_ended"
    evaluation: EvaluationPoint
    points: list[CurvePoint] = []  # as above


class TrainingNote(_Event):
    """What became of a training's checkpoint: a line for the user."""

    event: Literal["training_note"] = "training_note"
    text: str


class WaitingForWindow(_Event):
    """The training loop stands still until the parent says what comes next."""

    event: Literal["waiting_for_window"] = "waiting_for_window"
    step: int  # optimizer steps so far


class WindowEnded(_Event):
    """A window of training or of evaluation, by the worker's own clock."""

    event: Literal["window_ended"] = "window_ended"
    worker_seconds: float
    steps: int  # of training, or batches of evaluation
    examples: int
    tokens: int  # without padding
    padded_tokens: int  # with padding
    phase: Phase = "training"


class TrainingEnded(_Event):
    """The training loop has returned; evaluation windows may follow."""

    event: Literal["training_ended"] = "training_ended"


class ProbeStepsDone(_Event):
    """A probe of a batch limit has finished its steps. It waits until the parent has read its peak."""

    event: Literal["probe_steps_done"] = "probe_steps_done"
    steps: int


class FinderTries(_Event):
    """A finder is about to try a batch size, which may end the worker."""

    event: Literal["finder_tries"] = "finder_tries"
    batch_size: int


class WorkerFailed(_Event):
    """The job ends without a result."""

    event: Literal["worker_failed"] = "worker_failed"
    status: Status
    reason: str  # one line
    text: str | None = None  # the exception and its causes, with their whole messages


class _Result(_Event):
    effective: dict[str, Any]  # settings read back from the framework


class ThroughputResult(_Result):
    event: Literal["throughput_result"] = "throughput_result"
    build_seconds: float
    first_step_seconds: float
    model_flops_per_token: float | None
    matmul_flops_per_second: float | None
    gaps: dict[str, Gap] = {}  # why a figure is None


class MemoryResult(_Result):
    event: Literal["memory_result"] = "memory_result"
    memory: Memory
    gaps: dict[str, Gap]  # why a figure is None


class AccuracyResult(_Result):
    event: Literal["accuracy_result"] = "accuracy_result"
    accuracy: Accuracy
    save_problem: str | None = None  # why the model could not be saved, in one line


class TraceResult(_Result):
    event: Literal["trace_result"] = "trace_result"
    trace: Trace
    max_gradient_norm: float  # at which it clipped


class ProbeResult(_Result):
    event: Literal["probe_result"] = "probe_result"
    steps: int
    allocated_bytes: int | None  # the allocator's peak; None where it keeps no count
    allocated_before_bytes: int | None
    data_before_bytes: int | None  # the process's data segment when training began


class FinderResult(_Event):
    event: Literal["finder_result"] = "finder_result"
    answer: int | None
    reason: str | None


class ProbeEnded(_Event):
    """Made by the parent while it searches for a batch limit: a line for the user."""

    event: Literal["probe_ended"] = "probe_ended"
    text: str


class ModelSaved(_Event):
    """Made by the parent when a trained model was saved, or could not be: a line for the user."""

    event: Literal["model_saved"] = "model_saved"
    text: str


class LimitFound(_Event):
    """Made by the parent when a batch limit is found: a line for the user."""

    event: Literal["limit_found"] = "limit_found"
    text: str


class LaunchesDone(_Event):
    """Made by the parent when the last launch of a race's participant is done."""

    event: Literal["launches_done"] = "launches_done"
    launches: int


Result = ThroughputResult | MemoryResult | AccuracyResult | TraceResult | ProbeResult | FinderResult
Event = Annotated[
    FrameworkLoaded
    | Building
    | StepEnded
    | TrainingProgress
    | EvaluationBegan
    | EvaluationEnded
    | TrainingNote
    | WaitingForWindow
    | WindowEnded
    | TrainingEnded
    | ProbeStepsDone
    | FinderTries
    | WorkerFailed
    | Result
    | ProbeEnded
    | ModelSaved
    | LimitFound
    | LaunchesDone,
    Field(discriminator="event"),
]
_EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def write_event(event: Event) -> str:
    """The event as one line of JSON."""
    return event.model_dump_json()


def read_event(line: str | bytes) -> Event:
    """Errors: pydantic.ValidationError for a line that is no event."""
    return _EVENTS.validate_json(line)
