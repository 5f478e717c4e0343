"""A made-up step for the tests of predictions."""

from __future__ import annotations

import numpy as np

from benchmarks.harness.predict.allocators.blocks import MIB
from benchmarks.harness.predict.calibration import Calibration
from benchmarks.harness.predict.footprint import Footprint, Process
from frameworks.contract import StepTrace

WEIGHTS, EACH = 200 * MIB, 30 * MIB


def step(batch: int, each: int = EACH) -> StepTrace:
    """Weights that stay, an activation per example that goes."""
    return StepTrace(
        bytes=np.array([WEIGHTS, each * batch, 4 * MIB]),
        allocated_at=np.array([0, 1, 3]),
        freed_at=np.array([5, 2, 4]),
        parts=("weights", "activations", "workspace"),
        events=5,
    )


def footprint(
    allocator: str = "cuda_cache", process: Process | None = None, each: int = EACH, **fields
) -> Footprint:
    made = Calibration(allocator=allocator, error=0.03, how="made up", **fields)
    return Footprint([step(2, each), step(6, each)], (2, 6), made, process)
