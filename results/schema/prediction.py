"""Predicted memory and batch limits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from results.schema.job import Record, Versioned, split_old_checkpoint
from results.schema.limits import Phase


class PredictedLimit(Record):
    target: str  # a GPU type of gpus.toml, or a budget such as '6GiB'
    budget_bytes: int
    limit: int  # 0: not even one example
    low: int  # the prediction's range: its lower end is the promise
    high: int
    note: str | None = None  # what the budget is based on, where no card of the type was read


class Prediction(Versioned):
    """The memory that training is expected to need, estimated without training."""

    backend: str
    phase: Phase
    device: Literal["cpu", "gpu"]  # whose allocator was simulated
    checkpoint: str
    tokenizer_only: bool = False  # the model uses the checkpoint's tokenizer and no weights of it
    architecture: str
    recipe: dict[str, Any]  # batch size, length, precision and the other fields that affect memory
    parts: dict[str, int]  # bytes at the peak: weights, gradients, optimizer, activations ...
    peak_bytes: int
    peak_low_bytes: int
    peak_high_bytes: int
    assumed: bool = False  # no measured case supports the ranges; else 95 % intervals
    limits: list[PredictedLimit]
    # Requested GPU types that do not support the precision, with the reason.
    left_out: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]

    @classmethod
    def from_version_1(cls, raw: dict[str, Any]) -> dict[str, Any]:
        return split_old_checkpoint(raw, "checkpoint")


class PredictionCase(Record):
    """A prediction compared with what was measured or published."""

    backend: str
    device: Literal["cpu", "gpu"]
    architecture: str
    checkpoint: str
    length: int
    precision: str
    phase: Phase = "training"
    setting: str = ""  # what else of the recipe counts for memory: 'accumulation 4'
    batch_size: int | None  # of a peak; None for a limit
    over_batch_size: int | None = None  # of a peak that is given relative to that of this batch
    budget: str | None  # of a limit; None for a peak
    unit: Literal["bytes", "examples"]
    predicted: float  # a limit and its ends are rounded down to sizes that a search tries
    low: float  # the predicted range; of a limit, its lower end is the promise
    high: float
    measured: float  # of a limit: the largest batch that fitted
    fails_at: int | None = None  # of a limit: the smallest that failed; None: none did
    steps: int | None = None  # of a limit: sizes of the search from measured to predicted
    source: str  # 'measured', or where it was published
    conditions: str | None = None  # how what was published differs from what is predicted
    fitted: bool = False  # the calibration has seen it
    versions: dict[str, str] = Field(default_factory=dict)  # of what the step was traced with
