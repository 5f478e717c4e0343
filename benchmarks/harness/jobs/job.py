"""The JSON file that describes a job to its worker process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.harness.plan.sections import EquivalencePlan, MemoryPlan, ThroughputPlan
from frameworks.contract import Architecture, Recipe, Session, Start, backends
from results.schema import Device, JobKey, Phase

DOUBLING = "doubling"


def finder_names(backend: str) -> tuple[str, ...]:
    """Other ways to find a batch limit, which are compared with the search and run in a worker:
    those that the backend's users call, then doubling."""
    return (*backends()[backend].finders, DOUBLING)


class StartFile(BaseModel):
    """`frameworks.contract.Start`, as a part of a job's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    architecture: Architecture
    label_count: int
    vocabulary_size: int
    max_length: int

    def start(self) -> Start:
        return Start(**self.model_dump())


class LimitWork(BaseModel):
    """What one worker of a search for a batch limit does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: str  # as the user named it
    phase: Phase
    steps: int  # optimizer steps, or evaluation batches, of a probe
    highest: int
    compare_finders: bool
    data_bytes: int | None = None  # a CPU's budget: the worker bounds its own data segment
    framework_bytes: int | None = None  # a GPU's: the framework's own limit
    finder: str | None = None  # search in the worker itself, in this way


class SavedModel(BaseModel):
    """Where a trained model is kept, and the tokenizer that belongs to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    tokenizer: Path

    @property
    def partial(self) -> Path:
        """Where the worker writes it; renamed when everything is there."""
        return self.folder.with_name(f".{self.folder.name}.partial")


class CheckpointPlan(BaseModel):
    """Where a training writes its checkpoints, how often, and how many of them stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    interval: int | Literal["epoch"]
    keep: int


class Job(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: JobKey
    recipe: Recipe
    start: StartFile
    train: Path  # tokenized examples
    evaluations: dict[str, Path]
    environment: dict[str, str]
    device: Device  # that the worker computes on; it checks that its framework sees the same
    time_limit_seconds: float
    equivalence: EquivalencePlan
    throughput: ThroughputPlan
    memory: MemoryPlan
    measures_matrix_rate: bool = (
        True  # throughput only: at the end; later launches of a race do not
    )
    limit: LimitWork | None = None  # batch_limit only
    model: SavedModel | None = None  # accuracy only: keep the trained model
    checkpoints: CheckpointPlan | None = None  # accuracy only
    metrics: list[str] = []  # accuracy only: besides those that every score has
    callbacks: tuple[str, ...] = ()  # accuracy only: the user's, of this backend
    code_folder: Path = Path()  # where the user's own modules are
    tracked: bool = False  # accuracy only: the learning curve is sent while it grows
    predictions: Path  # the file of its logits: accuracy and equivalence


@dataclass(frozen=True)
class Built:
    """A session that is ready to train, and the time and memory before it."""

    session: Session
    seconds: float  # model, optimizer and data, without the framework's import
    before_model_bytes: int | None  # memory jobs only: the high-water mark before it was built
    calibration_norms: list[float] | None = None  # traces only, see Trace
