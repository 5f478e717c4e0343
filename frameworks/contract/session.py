"""The one contract that every backend fulfils. Imports no framework.

A backend is a folder `frameworks/<folder>/` with two public names:

* `BACKENDS` in `__init__.py`: what it says about itself (`Backend`). The parent process reads it,
  so it imports no framework;
* `Session` in `train.py`: one model under training, in a worker process.

The harness owns the data, the order, the starting weights and the clock; a backend owns the
model, the optimizer, the precision and the loop, and runs its framework's usual ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from frameworks.contract.device import DeviceFunctions
from frameworks.contract.feed import Examples, Feed
from frameworks.contract.readings import Curve, Effective
from frameworks.contract.recipe import Recipe
from frameworks.contract.step_trace import StepPhase
from frameworks.contract.user_code import make_callbacks
from frameworks.contract.watch import Watch
from frameworks.contract.weights.start import Start

TRACED_LOSS_SCALE = 2.0**12


@dataclass(frozen=True)
class SessionSpec:
    """What a backend is asked to do."""

    recipe: Recipe
    start: Start
    train: Examples
    record: bool = False  # keep loss, gradient norm and learning rate of every step
    hash_batches: bool = False  # keep the digest of every batch as it reached the model
    memory_limit_bytes: int | None = None  # of a GPU: the framework may allocate no more
    callbacks: tuple[type, ...] = ()  # the user's callback classes of this framework
    own_model: Callable[..., Any] | None = None  # the user's function that makes the model
    shared_start: bool = False  # weights that another framework starts from too, where it has them
    threads: int | None = None  # that its environment asks for; None: no number is asked for
    resumable: bool = False  # `save_state` may be called

    @property
    def feed(self) -> Feed:
        return Feed(self.train, self.recipe)

    @property
    def loss_scale(self) -> float | None:
        """The loss scale in fp16 that training begins with; None: the framework's own. Traces share
        a low one: the frameworks begin with different ones, skip different steps until theirs is low
        enough, and some count a skipped step."""
        return TRACED_LOSS_SCALE if self.hash_batches else None


class Session(ABC):
    """One model under training in one framework; built once, in a worker process. Its methods are all
    that jobs ask of a model, hence their number; what jobs ask of the device is in `device`."""

    device: ClassVar[DeviceFunctions]

    def __init__(self, spec: SessionSpec) -> None:
        self.spec = spec
        self.callbacks: list[Any] = []  # the user's, since `train` has made them
        self.callback_states: dict[str, Any] = {}  # that `make_callbacks` gives them, by class

    def make_callbacks(self) -> list[Any]:
        """Makes the user's callbacks. `train` of a backend with a `callback_class` calls it once."""
        self.callbacks = make_callbacks(self.spec.callbacks, self.callback_states)
        return self.callbacks

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
    def curve(self) -> Curve:
        """Returns what `spec.record` and `spec.hash_batches` asked to keep."""

    @abstractmethod
    def effective(self) -> Effective:
        """Returns the settings in force, asked of the framework and not read from the recipe; cheap.
        Called after the first step, under the memory limit of a probe too, and at the end."""

    @abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """Returns a copy of all trainable weights: under PyTorch's names and layouts if the
        architecture has them, so that backends can be compared, otherwise under the framework's own."""

    @abstractmethod
    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Sets the weights that `weights` returned."""

    def save(self, folder: Path) -> None:
        """Writes the model into an empty folder, in a format that its users load. Errors: OSError
        where it cannot be written, NotImplementedError where the backend has no such format."""
        raise NotImplementedError("this backend cannot save its model")

    def save_state(self, folder: Path) -> None:
        """Writes into an empty folder everything that `train` needs to continue as if it had never
        stopped: weights, optimizer, schedule, loss scale, the order's place, the dropout stream, and
        what was recorded. A watch may call it between the steps of `train`. Errors: OSError where it
        cannot be written, NotImplementedError, with the reason, where the backend cannot do it."""
        raise NotImplementedError("this backend cannot save the state of a training")

    def load_state(self, folder: Path) -> None:
        """Sets what `save_state` wrote. `train`, called after it, takes the next step and gives the
        same weights, losses and logits, to the bit on a CPU, as a training that was not stopped."""
        raise NotImplementedError("this backend cannot load the state of a training")

    @abstractmethod
    def tell_phases(self, begins: Callable[[StepPhase | None], None]) -> bool:
        """Calls `begins` whenever a phase of a step begins during the next `train`, also between the
        batches of an accumulated step; None means that the optimizer has finished. Returns False
        if the framework runs a step as one unit, without phases."""
