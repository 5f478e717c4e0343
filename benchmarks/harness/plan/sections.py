"""The sections of a profile and their fields."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from benchmarks.harness.data.choice import Count, DataChoice
from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import budgets
from frameworks.contract import Metric, Precision, is_user_code
from results.schema import LOOKS, Phase

Fields = dict[str, Any]  # a part of a recipe


PLAIN_NAME = "^[a-z0-9_]+$"
ChangeName = Annotated[str, Field(pattern=PLAIN_NAME)]  # a part of a file's name
TrackerName = Literal["wandb", "tensorboard", "mlflow", "trackio"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TaskChoice(DataChoice):
    target_accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The report says after how many training seconds each backend reached this share of right answers.
    Needs an `evaluation_interval` in the recipe."""
    recipe: Fields = Field(default_factory=dict)
    """Recipe fields of this task."""

    def data(self, change: Fields) -> DataChoice:
        """The examples of this task, with the fields of a change on top."""
        kept = self.model_dump(include=set(DataChoice.model_fields))
        return DataChoice.model_validate(kept | change)


FASTEST_STEP_SECONDS = 0.0005
WINDOW_MARGIN = 1.2  # planned longer, because warm-up steps may be slower than later ones
LENGTHENINGS = 3  # times that the windows of a race are lengthened, at most


class ThroughputPlan(Section):
    warmup_windows: Count = 1
    """Windows of every launch before its first round. They are reported separately."""
    launches: Count = 6
    """Processes of every backend, one after the other. An interval over launches needs at least 3.
    With 1, a winner needs 9 rounds and a lead of 5 %."""
    rounds: Count = 3
    """Turns that every backend takes in a launch."""
    windows: Count = 1
    """Training windows per round."""
    steps_per_window: Count = 4
    """Optimizer steps per training window; on a GPU at least 20."""
    window_seconds: Annotated[float, Field(gt=0, le=60)] | None = None
    """Shortest window: the windows of all participants of a race get the same larger number of steps, or
    of evaluation batches, until the fastest one's last so long. None: 0.5 on a GPU, and on a CPU the
    numbers of this profile. A step or a batch counts as at least 0.0005 seconds."""
    evaluation_windows: Count = 1
    """Evaluation windows per round."""
    evaluation_batches: Count = 4
    """Batches per evaluation window; on a GPU at least 20."""
    control: bool = True
    """Add every backend's barest loop, to measure what `Trainer` or `fit` costs."""
    noise_pair: bool = True
    """Let one backend take part twice, as a check: the true ratio of the two is 1."""
    retakes: Annotated[int, Field(ge=0)] = 3
    """Rounds of a launch that are taken again, at most, because other work or a slowed GPU disturbed
    them."""
    until: Literal["planned", "decided"] = "planned"
    """When a race ends: after `launches`, or as soon as it can be decided, after 4, 6, 9 or 12."""
    until_minutes: Count | None = None
    """Time for a race that ends when it is decided; none: up to 12 launches."""
    equal_margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Two speeds are called equal if their ratio is shown to differ from 1 by less."""

    @property
    def most_launches(self) -> int:
        return self.launches if self.until == "planned" else LOOKS[-1]

    @property
    def training_steps(self) -> int:
        """The first step is timed alone, then the windows. Those that are lengthened are counted at
        their longest, because the loop cannot be extended."""
        rounds = self.rounds + self.retakes
        steps = self.steps_per_window * self.warmup_windows
        if self.window_seconds is not None:
            rounds += LENGTHENINGS  # a window each, whatever `windows` is
        return 1 + steps + self.most_window_steps * rounds * self.windows

    @property
    def most_window_steps(self) -> int:
        """Optimizer steps of a training window, at most."""
        return self.window_steps(FASTEST_STEP_SECONDS)

    def window_steps(self, step_seconds: float, phase: Phase = "training") -> int:
        """Optimizer steps, or evaluation batches, of a window in which each takes so long."""
        asked = self.steps_per_window if phase == "training" else self.evaluation_batches
        if self.window_seconds is None:
            return asked
        needed = ceil(WINDOW_MARGIN * self.window_seconds / max(step_seconds, FASTEST_STEP_SECONDS))
        return max(asked, needed)

    @model_validator(mode="after")
    def _limits_a_sequential_race(self) -> ThroughputPlan:
        if self.until_minutes and self.until != "decided":
            raise ValueError('until_minutes needs until = "decided"')
        return self


class EquivalencePlan(Section):
    """How traces are recorded."""

    steps: Annotated[int, Field(ge=4)] = 100
    """Optimizer steps of a trace. They make two epochs, each with a partial last batch."""
    accumulations: Annotated[list[Count], Field(min_length=1)] = [1, 2]
    """One trace for each, in fp32."""
    precisions: list[Precision] = ["fp32"]
    """One trace for each besides fp32, with the first of the accumulations."""
    batch_size: Annotated[int, Field(ge=2)] = 8
    """Examples per forward pass."""
    max_gradient_norm: Annotated[float, Field(gt=0)] | None = None
    """Norm to which gradients are clipped; none: the median norm of the first steps, so that some of
    the steps are clipped and some are not."""
    max_learning_rate: Annotated[float, Field(gt=0)] = 3e-5
    """AdamW's rate where the recipe's is larger: at 2e-4, rounding alone exceeds the bounds after 50 steps."""
    weight_decay: Annotated[float, Field(gt=0)] = 1.0
    """Larger than a normal recipe's, which would be lost in the rounding of the weights."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-6
    """Larger than a normal recipe's, because few gradients are small enough to show that one."""
    evaluation_examples: Count = 200
    """Examples whose logits are recorded."""
    keep_weights: bool = False
    """Store the complete weights in addition to their sketches."""

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
    steps: Annotated[int, Field(ge=3)] = 4
    """Optimizer steps of the memory pass. The optimizer has its state from the first one on."""


class LimitPlan(Section):
    """The largest batch that trains within each budget."""

    budgets: list[str] = []
    """Sizes such as `6GiB`, GPU types, or `device`; empty: all free memory."""
    phases: Annotated[list[Phase], Field(min_length=1)] = ["training"]
    """Whether the batch has to train, or only to predict."""
    highest: Count = 1024
    """No larger batch is tried."""
    steps: Annotated[int, Field(ge=3)] = 3
    """Optimizer steps of a probe, or its batches in the phase `evaluation`."""
    compare_finders: bool = False
    """Let other finders search for the same limit as well."""

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
    """One training for each. Backends are compared seed by seed; a difference needs at least 6 seeds
    to be shown."""
    random_weights: bool = False
    """Whether a checkpoint of random weights is trained and scored too, which the report says: such an
    accuracy shows what a model learns from this data alone."""
    keep_models: bool = False
    """Whether every trained model is saved, in `models/` of the run's folder, with its tokenizer and a
    model card."""
    checkpoint_interval: Annotated[int, Field(ge=0, lt=2**31)] | Literal["epoch"] = 0
    """Optimizer steps between two checkpoints of a training, or `epoch`; 0: none. A run that is
    resumed continues a stopped training from its last checkpoint."""
    keep_checkpoints: Count = 2
    """How many checkpoints of a training stay, the last ones. They are removed when it has ended."""
    metrics: list[Metric] = ["accuracy", "macro_f1"]
    """Scores of every evaluation: `accuracy`, `macro_f1`, `weighted_f1`, `mcc` (Matthews's correlation),
    or `module:function` of your own, which is called with the predicted labels and the true ones."""
    callbacks: list[str] = []
    """Your own callbacks in these trainings, `module:Class` each: subclasses of `TrainerCallback`
    (PyTorch), `tf_keras.callbacks.Callback` or `keras.callbacks.Callback`. Each is made without
    arguments in the backends that its class belongs to. Other questions run without them."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Backends whose accuracies differ by less are called equally accurate. 0.01 is 1 point."""

    @field_validator("callbacks")
    @classmethod
    def _name_classes(cls, names: list[str]) -> list[str]:
        for name in names:
            if not is_user_code(name):
                raise ValueError(f"{name!r}: write MODULE:CLASS, such as my_module:MyCallback")
        return list(dict.fromkeys(names))

    def with_options(self, fields: Fields) -> AccuracyPlan:
        """With the command line's fields; its metrics are added to those here."""
        added = [name for name in fields.get("metrics", []) if name not in self.metrics]
        return self.model_copy(update=fields | {"metrics": [*self.metrics, *added]})


class TuningPlan(Section):
    accuracy_margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """How much lower the tuned recipe's accuracy may be. 0.01 is 1 point."""
