"""What a session reports: its curve, its allocator's counters, and the settings in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from frameworks.contract.recipe import Device, Precision


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
