"""The sections of a profile and what each may say."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import budgets
from frameworks.contract import Precision
from results.schema import Phase

Count = Annotated[int, Field(ge=1)]


Fields = dict[str, Any]  # a part of a recipe


VariantName = Annotated[str, Field(pattern="^[a-z0-9_]+$")]  # a part of a file's name


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TaskChoice(Section):
    train_examples: Count | None = None  # None: all there are
    evaluation_examples: Count | None = None  # of every evaluation set
    recipe: Fields = Field(default_factory=dict)


class ThroughputPlan(Section):
    warmup_windows: Count = 1
    rounds: Count = 6  # backends take turns once per round; an interval needs 6 rounds
    windows: Count = 2  # per round
    steps_per_window: Count = 4
    evaluation_windows: Count = 1  # per round
    evaluation_batches: Count = 4  # per window
    control: bool = True  # every backend's barest loop takes part: what fit or Trainer adds
    noise_pair: bool = True  # one backend takes part twice: differences below its own are none

    @property
    def training_steps(self) -> int:
        """The first step is timed alone, then the windows."""
        return 1 + self.steps_per_window * (self.warmup_windows + self.rounds * self.windows)


class EquivalencePlan(Section):
    """What a trace is taken of: `steps` optimizer steps make two epochs, each with a partial last
    batch."""

    steps: Annotated[int, Field(ge=4)] = 100
    accumulations: Annotated[list[Count], Field(min_length=1)] = [1, 2]  # one trace for each
    # The others have one trace each, at the first of the accumulations.
    precisions: list[Precision] = ["fp32"]
    batch_size: Annotated[int, Field(ge=2)] = 8
    # Such that a part of the steps is cut: a certificate asks for it.
    max_gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    # Large beside a recipe's: that decay is lost in the rounding of the weights, and few gradients
    # are so small that they show that epsilon.
    weight_decay: Annotated[float, Field(gt=0)] = 1.0
    epsilon: Annotated[float, Field(gt=0)] = 1e-6
    evaluation_examples: Count = 200
    keep_weights: bool = False  # whole, beside their sketches

    @field_validator("precisions")
    @classmethod
    def _with_fp32(cls, words: list[Precision]) -> list[Precision]:
        if "fp32" not in words:
            raise ValueError("fp32 must be among them: the bounds of the others come from it")
        return list(dict.fromkeys(words))

    def examples(self, accumulation: int) -> int:
        """Training examples of a trace: half the steps' batches, the last of them half full."""
        return ceil(self.steps / 2) * self.batch_size * accumulation - self.batch_size // 2


class MemoryPlan(Section):
    steps: Annotated[int, Field(ge=3)] = 4  # optimizer state exists from the first step on


class LimitPlan(Section):
    """The largest batch that trains within each budget."""

    budgets: list[str] = []  # '6GiB', a GPU type, 'device'; none: the whole device
    phases: Annotated[list[Phase], Field(min_length=1)] = ["training"]
    highest: Count = 1024  # no batch above it is tried
    steps: Annotated[int, Field(ge=3)] = 3  # optimizer steps, or evaluation batches, of a probe
    compare_finders: bool = False  # other ways to the same limit, on the same work

    @field_validator("budgets")
    @classmethod
    def _are_budgets(cls, labels: list[str]) -> list[str]:
        try:
            for label in labels:
                budgets.check_label(label, "budget")
        except UserError as error:
            raise ValueError(str(error)) from None
        return labels


class AccuracyPlan(Section):
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [42]


class TuningPlan(Section):
    # By how much a tuned recipe's accuracy may be lower than the plain one's and still hold.
    accuracy_margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
