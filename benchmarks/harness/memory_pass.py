"""Memory: a pass of its own, never timed.

`peak_process_bytes` is the kernel's high-water mark of resident memory, reset after the framework
was imported and the data read, minus its value then: what model, optimizer and training took.
The allocator's own peaks are read from the framework; what the whole device held is sampled by
the parent. Batches are padded to the recipe's full length.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import process_memory, training
from benchmarks.harness.jobs import Built, Job
from benchmarks.harness.pipe import Pipe


class StepCounter:
    """Counts executed steps."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe, self.steps = pipe, 0

    def begin(self) -> None:
        pass

    def step_end(self, step: int) -> bool:
        self.steps = step
        self._pipe.send("step", step=step)
        return False


def take(job: Job, built: Built, pipe: Pipe) -> dict[str, Any]:
    session, counter = built.session, StepCounter(pipe)
    session.reset_peak()
    training.run(job, session, counter)
    session.synchronize()
    allocator = session.allocator()
    peak, before = process_memory.peak(), built.before_model_bytes
    taken = None if peak is None or before is None else peak - before
    # Where the kernel does not let the mark be reset, there is no figure.
    gaps = {"peak_process_bytes": "unsupported"} if taken is None else {}
    for name in ("peak_allocated_bytes", "peak_reserved_bytes"):
        if getattr(allocator, name) is None:
            on_gpu = session.effective().device.startswith("gpu")
            gaps[name] = "unsupported" if on_gpu else "no_gpu"
    return {
        "memory": {
            "steps": counter.steps,
            "peak_allocated_bytes": allocator.peak_allocated_bytes,
            "peak_reserved_bytes": allocator.peak_reserved_bytes,
            "allocator_retries": allocator.retries,
            "allocator_out_of_memory_events": allocator.out_of_memory_events,
            "peak_process_bytes": taken,
            "before_model_bytes": before,
        },
        "gaps": gaps,
    }
