"""A plan: the list of jobs of a run. A job is one backend x task x question x change."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmarks.harness.data.choice import DataChoice
from benchmarks.harness.machine import processor
from benchmarks.harness.plan.sections import (
    AccuracyPlan,
    EquivalencePlan,
    Fields,
    LimitPlan,
    MemoryPlan,
    ThroughputPlan,
    TrackerName,
    TuningPlan,
)
from frameworks.contract import USERS_MODELS, Backend, Recipe, backends
from results.schema import FEWEST_SEEDS, JobKey, Phase
from results.schema.job import comparison

GPU_STEPS_PER_WINDOW = 20  # at least, or evaluation batches
GPU_WINDOW_SECONDS = 0.5  # at least, unless the profile says otherwise


class JobSpec(BaseModel):
    """The specification of a job, before anything is loaded for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: JobKey
    recipe: Recipe
    environment: dict[str, str] = {}  # variables that the profile sets for the worker
    budget: str | None = None  # batch_limit only
    phase: Phase = "training"
    data: DataChoice | None = None  # None: the task's, in the plan

    @property
    def comparison(self) -> str:
        """The name of the group that a job races in: jobs that differ only in the backend and its
        loop or, in a study of named changes, the jobs of one backend."""
        return comparison(self.key)

    @property
    def evaluates(self) -> bool:
        """Whether evaluation is timed too: the other participants of a race evaluate in the same
        way."""
        return self.key.role == "framework"


class Plan(BaseModel):
    """Everything that a run does. Saved as `plan.json`, so that a stopped run can be resumed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    checkpoint: str
    data: str | None  # None: the custom task's own file
    data_seed: int
    code_folder: str = ""  # where the user's own modules are
    device: str
    allow_pickle: bool
    custom_task: dict[str, Any] | None
    examples: dict[str, DataChoice]  # by task
    target_accuracies: dict[str, float] = {}  # by task
    job_seconds: int
    threads: int = Field(default_factory=processor.usable_cores)  # of every participant
    side_by_side: bool = False
    track: list[TrackerName] = []
    equivalence: EquivalencePlan = EquivalencePlan()
    throughput: ThroughputPlan
    memory: MemoryPlan
    batch_limit: LimitPlan = LimitPlan()
    accuracy: AccuracyPlan
    tuning: TuningPlan = TuningPlan()
    jobs: list[JobSpec]
    command: str
    tunes: bool = False  # made and resumed by `ftbench tune`, which adds jobs of its own

    @model_validator(mode="before")
    @classmethod
    def _old_files(cls, data: Any) -> Any:
        """Older files have `sizes` instead of `examples`, and those of 0.1.0 have no field `tunes`:
        there the command says it."""
        if not isinstance(data, dict):
            return data
        fields = dict(data)
        if isinstance(sizes := fields.pop("sizes", None), dict):
            names = ("train_examples", "evaluation_examples")
            fields["examples"] = {t: dict(zip(names, two, strict=True)) for t, two in sizes.items()}
        if "tunes" not in fields:
            fields["tunes"] = str(fields.get("command", "")).startswith("ftbench tune ")
        return fields

    def on_gpu(self) -> Plan:
        """The plan with windows that are long enough for a GPU. Its steps take milliseconds, so that
        in a short window the synchronisations at the two ends would count."""
        asked = self.throughput
        fields = {
            "steps_per_window": max(GPU_STEPS_PER_WINDOW, asked.steps_per_window),
            "evaluation_batches": max(GPU_STEPS_PER_WINDOW, asked.evaluation_batches),
            "window_seconds": asked.window_seconds or GPU_WINDOW_SECONDS,
        }
        throughput = asked.model_copy(update=fields)
        longer = {"steps": throughput.training_steps}
        jobs = [
            spec.model_copy(update={"recipe": spec.recipe.model_copy(update=longer)})
            if spec.key.question == "throughput"
            else spec
            for spec in self.jobs
        ]
        return self.model_copy(update={"throughput": throughput, "jobs": jobs})

    def seed_note(self) -> str | None:
        """Says before anything is trained that the seeds are too few to compare backends; None
        where they are enough or nothing is compared."""
        scored = [spec.key for spec in self.jobs if spec.key.question == "accuracy"]
        seeds = len(self.accuracy.seeds)
        if len({key.backend for key in scored}) < 2 or seeds >= FEWEST_SEEDS:
            return None
        return (
            f"note on accuracy: {seeds} {'seed' if seeds == 1 else 'seeds'} cannot show that one "
            f"backend is more accurate than another; that needs at least {FEWEST_SEEDS} "
            "([accuracy] seeds in the profile)"
        )


def traced(names: Sequence[str], asked: bool) -> list[str]:
    """The backends that share their model with others. Models of the user's need not be the same: they are
    compared only where equivalence is asked for. Where it is asked of one backend alone, its partner's
    trace is elsewhere."""
    known = backends()
    families = Counter(known[name].family for name in names)

    def shares(about: Backend) -> bool:
        users = about.family == USERS_MODELS
        if about.family is None or (asked and (users or len(names) == 1)):
            return about.family is not None
        return not users and (about.pretrained or families[about.family] > 1)

    return [name for name in names if shares(known[name])]


def work_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """What decides the work of each job."""
    shared = {
        "checkpoint": plan.checkpoint,
        "data": plan.data,
        "threads": plan.threads,
        "steps_per_window": plan.throughput.steps_per_window,
        "evaluation_batches": plan.throughput.evaluation_batches,
    }
    # The number of steps follows from the number of windows, which may differ.
    return {
        spec.key.id: {**shared, **spec.recipe.model_dump(mode="json", exclude={"steps"})}
        for spec in plan.jobs
        if spec.key.question == "throughput"
    }


class Choice(BaseModel):
    """The choices of the command line, which override the profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str = "quick"
    backends: list[str] = []
    tasks: list[str] = []
    questions: list[str] = []
    data: str | None = None
    checkpoint: str | None = None
    device: str = "auto"
    threads: int | None = None
    recipe: Fields = {}
    allow_pickle: bool = False
    custom_task: dict[str, Any] | None = None  # the arguments of tasks.custom_task
    batch_limit: Fields = {}  # replaces fields of the profile's [batch_limit]
    throughput: Fields = {}  # replaces fields of the profile's [throughput]
    accuracy: Fields = {}  # replaces fields of the profile's [accuracy]
    track: list[TrackerName] = []


def command_line(arguments: Sequence[str]) -> str:
    return shlex.join(arguments)
