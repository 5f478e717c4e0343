"""What a session reports: its curve, its allocator's counters, and the settings in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from frameworks.contract.recipe import Device, Precision

BatchShape = tuple[int, int]  # rows, and tokens that each of them is padded to
LossInput = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class Curve:
    """One entry per optimizer step."""

    loss: list[float] = field(default_factory=list)  # mean over the examples of the step
    gradient_norm: list[float] = field(default_factory=list)  # global, before clipping
    learning_rate: list[float] = field(default_factory=list)
    batch_digests: list[str] = field(default_factory=list)  # one per batch, not per step


@dataclass(frozen=True)
class FoundDevice:
    """The device that the framework will compute on, as the framework itself sees it."""

    kind: Device
    name: str
    memory_bytes: int | None = None  # of a GPU; None if the framework does not tell
    count: int = 1  # how many of the kind it would use
    advice: str | None = None  # on a CPU: the usual reason why it sees no GPU, and what to do


@dataclass(frozen=True)
class AllocatorCounters:
    """Counters of the framework's device allocator; None where it has no such counter."""

    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    retries: int | None = None
    out_of_memory_events: int | None = None


@dataclass(frozen=True)
class OptimizerGroup:
    """The optimizer's settings for parameters that it treats alike."""

    parameters: tuple[str, ...]  # their names
    learning_rate: float  # of the next step
    weight_decay: float
    beta1: float | None = None  # None: this optimizer has none
    beta2: float | None = None
    epsilon: float | None = None


@dataclass(frozen=True)
class InForce:
    """The recipe as the framework runs it, read from the framework's own objects."""

    attention: str | None  # None: the model has none, or its kernels cannot be seen
    optimizer: str  # the recipe's word for it; its class where the recipe has no such word
    groups: tuple[OptimizerGroup, ...]
    parameters: frozenset[str]  # names of all weights of the model
    frozen: frozenset[str]  # those that are not trained
    weight_types: frozenset[str]  # 'float32'
    max_gradient_norm: float  # that was passed to the clipping; 0: nothing was clipped
    dropout: Mapping[str, float]  # by layer
    checkpoint_dropout: frozenset[float]  # the rates that apply if the recipe sets none
    batches: tuple[BatchShape, ...]  # every batch that was trained on, in order
    loss_input: LossInput | None = None  # what the loss takes for logits; None: it cannot be seen
    not_compiled: str | None = None  # what was not compiled, why, and what to do about it


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
    threads: int | None = None  # that compute one operation; None if the framework does not tell
    details: Mapping[str, str | float | bool | None] = field(default_factory=dict)
    in_force: InForce | None = None  # None: this backend does not read it
