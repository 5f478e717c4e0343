"""The one JSON file that a worker process is given, and that says all it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.harness.plan.sections import EquivalencePlan, MemoryPlan, ThroughputPlan
from frameworks.contract import Architecture, Recipe, Session, Start, backends
from results.schema import JobKey, Phase

DOUBLING = "doubling"


def finder_names(backend: str) -> tuple[str, ...]:
    """Other ways to find a batch limit, which are compared with the search and run in a worker:
    those that the backend's users call, then doubling."""
    return (*backends()[backend].finders, DOUBLING)


class StartFile(BaseModel):
    """`frameworks.contract.Start`, as it stands in a job's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    architecture: Architecture
    label_count: int
    vocabulary_size: int
    max_length: int

    def start(self) -> Start:
        return Start(**self.model_dump())


class LimitWork(BaseModel):
    """What a search for a batch limit asks of each of its workers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: str  # as it was asked for
    phase: Phase
    steps: int  # optimizer steps, or evaluation batches, of a probe
    highest: int
    compare_finders: bool
    data_bytes: int | None = None  # a CPU's budget: the worker bounds its own data segment
    framework_bytes: int | None = None  # a GPU's: the framework is told to give out no more
    finder: str | None = None  # search in the worker itself, in this way


class Job(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: JobKey
    recipe: Recipe
    start: StartFile
    train: Path  # tokenized examples
    evaluations: dict[str, Path]
    environment: dict[str, str]
    time_limit_seconds: float
    equivalence: EquivalencePlan
    throughput: ThroughputPlan
    memory: MemoryPlan
    limit: LimitWork | None = None  # batch_limit only
    predictions: Path  # where a job leaves its logits: accuracy and equivalence


@dataclass(frozen=True)
class Built:
    """A session ready to train, and what building it took."""

    session: Session
    seconds: float  # model, optimizer and data; the framework's import left out
    before_model_bytes: int | None  # memory jobs only: the high-water mark before it was built
