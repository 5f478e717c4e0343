"""The buffers of a few training steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

StepPhase = Literal["forward", "backward", "optimizer"]


# What a buffer of a training step is for.
Part = Literal[
    "weights", "gradients", "optimizer", "activations", "attention", "workspace", "inputs"
]


@dataclass(frozen=True)
class StepTrace:
    """The buffers of a few training steps (from the second on the optimizer has its state from
    the start; what malloc leaves in pieces still grows after it), as the framework would take them
    and give them back, told without computing anything. Time is counted in events: one for every
    buffer taken or given back."""

    bytes: np.ndarray  # int64 (buffers,): asked for, before any rounding of an allocator's
    taken: np.ndarray  # int64 (buffers,): the event at which each is taken, rising
    given_back: np.ndarray  # int64 (buffers,): the event; `events` where it outlives the trace
    parts: tuple[Part, ...]  # one per buffer
    events: int
