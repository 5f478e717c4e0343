"""The one contract that every backend fulfils. Imports no framework.

A backend is a package `frameworks/<name>/` with two public names:

* `frameworks.<name>.unsupported(recipe, start)` - which fields it cannot honour; it is asked in
  the parent process, so the package itself imports no framework;
* `frameworks.<name>.train.Session` - a `Session`: one model under training, in a worker process.

The harness owns the data, the order, the starting weights and the clock; a backend owns the
model, the optimizer, the precision and the loop, and runs its framework's usual ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Protocol

import numpy as np

from frameworks.contract.feed import Examples, Feed
from frameworks.contract.recipe import Architecture, Precision, Recipe
from frameworks.contract.step_trace import StepPhase

MATMUL_SIZE = 2048  # rows and columns of the product that tells a device's matrix rate
MATMUL_REPEATS = 7


@dataclass(frozen=True)
class Start:
    """The starting point of all backends: a folder with config.json and a complete
    model.safetensors under PyTorch's parameter names, the classification head included."""

    folder: Path
    architecture: Architecture
    label_count: int
    vocabulary_size: int
    max_length: int  # the longest sequence that the model has positions for


@dataclass(frozen=True)
class SessionSpec:
    """What a backend is asked to do."""

    recipe: Recipe
    start: Start
    train: Examples
    record: bool = False  # keep loss, gradient norm and learning rate of every step
    hash_batches: bool = False  # keep the digest of every batch as it reached the model
    memory_limit_bytes: int | None = None  # of a GPU: the framework may give out no more

    @property
    def feed(self) -> Feed:
        return Feed(self.train, self.recipe)


class Watch(Protocol):
    """The harness's eyes: called from the framework's own callbacks."""

    def begin(self) -> None:
        """Training is about to take its first step."""

    def step_end(self, step: int) -> bool:
        """`step` optimizer steps are done (from 1); True asks the framework to stop."""


@dataclass(frozen=True)
class Curve:
    """One entry per optimizer step."""

    loss: list[float] = field(default_factory=list)  # mean over the examples of the step
    gradient_norm: list[float] = field(default_factory=list)  # global, before clipping
    learning_rate: list[float] = field(default_factory=list)
    batch_digests: list[str] = field(default_factory=list)  # one per batch, not per step


@dataclass(frozen=True)
class AllocatorCounters:
    """What the framework's device allocator says; None where it keeps no such counter."""

    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    retries: int | None = None
    out_of_memory_events: int | None = None


@dataclass(frozen=True)
class Effective:
    """Settings read back from the framework after the first step, not copied from the recipe."""

    precision: Precision
    attention: str
    optimizer: str
    compiled: bool
    parameters: int
    embedding_parameters: int
    device: str  # "cpu" or "gpu", and the framework's name for it
    gradient_checkpointing: bool = False
    details: Mapping[str, str | float | bool | None] = field(default_factory=dict)


class Session(ABC):
    """One model under training in one framework; built once, in a worker process."""

    def __init__(self, spec: SessionSpec) -> None:
        self.spec = spec

    @abstractmethod
    def train(self, watch: Watch) -> None:
        """Runs the framework's own training loop over the feed, until its end or until `watch`
        stops it."""

    @abstractmethod
    def train_bare(self, watch: Watch) -> None:
        """Runs the same training in the barest loop that the framework allows: the control, which
        shows what the framework's own loop costs. A session trains once, in one of the two ways."""

    @abstractmethod
    def predict(self, examples: Examples, *, batch_size: int) -> np.ndarray:
        """Returns logits as float32 (examples, labels), in the order of the examples, with dropout
        off. A watch may call it between the steps of `train`."""

    @abstractmethod
    def synchronize(self) -> None:
        """Waits until the device has finished everything."""

    @abstractmethod
    def curve(self) -> Curve:
        """Returns what `spec.record` and `spec.hash_batches` asked to keep."""

    @abstractmethod
    def precision_in_force(self) -> Precision:
        """Returns the precision that the framework computes in now, asked of it and not taken from
        the recipe; cheap."""

    @abstractmethod
    def effective(self) -> Effective:
        """Returns the settings in force. Called after the first step."""

    @abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """Returns a copy of all trainable weights: under PyTorch's names and layouts if the
        architecture has them, so that backends can be compared, otherwise under the framework's own."""

    @abstractmethod
    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Sets the weights that `weights` returned."""

    @abstractmethod
    def matmul_flops_per_second(self) -> float:
        """Measures the device's rate of matrix multiplication in the recipe's precision, with the
        switches in force."""

    @abstractmethod
    def tell_phases(self, begins: Callable[[StepPhase | None], None]) -> bool:
        """Calls `begins` whenever a phase of a step begins in the `train` to come (None: the
        optimizer is done), so also between the batches of an accumulated step. False where the
        framework runs a step as one, so that it has no such moments."""

    @abstractmethod
    def reset_peak(self) -> None:
        """Resets the peaks of the allocator."""

    @abstractmethod
    def allocator(self) -> AllocatorCounters:
        """Returns the allocator's peaks since the last reset."""


def matmul_rate(product: Callable[[], float]) -> float:
    """FLOP/s of a square product of MATMUL_SIZE; `product` does it once and gives its seconds.
    The median of several after a first one that warms up."""
    product()
    seconds = median(product() for _ in range(MATMUL_REPEATS))
    return 2 * MATMUL_SIZE**3 / seconds
