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
    """The buffers of a few training steps, as the framework would allocate and free them; nothing
    is computed. (From the second step on, the optimizer's state is there from the start; malloc's
    fragments still grow after it.) Time is counted in events: one for every allocation and every
    release."""

    bytes: np.ndarray  # int64 (buffers,): requested, before any rounding of an allocator's
    allocated_at: np.ndarray  # int64 (buffers,): the event of each allocation, rising
    freed_at: np.ndarray  # int64 (buffers,): of its release; `events` if it outlives the trace
    parts: tuple[Part, ...]  # one per buffer
    events: int
