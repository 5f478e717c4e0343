"""One probe of a batch limit, in the worker: everything is built under the budget and takes a few
steps at one batch size, every batch full and padded to the full length.

A CPU's budget is set on this process as soon as the framework is loaded, and counts its libraries
too; a GPU's is handed to the framework. After the last step the parent reads the peak of the data
segment; what is done afterwards is not bounded.

TensorFlow's allocator takes regions that double, so its data segment grows in leaps and says little
of what a batch needs. It counts what it gives out, so there the peak is that count with all else
that the process held when training began; or what was resident, where other memory made that more.
"""

from __future__ import annotations

from math import ceil

from benchmarks.harness.jobs.events import ProbeResult, ProbeStepsDone
from benchmarks.harness.jobs.job import Built, Job, LimitWork
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.machine import process_memory
from benchmarks.harness.worker import training
from frameworks.contract import Session


class StepCounter:
    """Counts executed steps."""

    def __init__(self) -> None:
        self.steps = 0

    def begin(self) -> None:
        pass

    def step_end(self, step: int) -> bool:
        self.steps = step
        return False


def bound(limit: LimitWork) -> None:
    """Puts a CPU's budget in force. Errors: MemoryError where this process holds more already."""
    if limit.data_bytes is None:
        return
    now = process_memory.held()
    if now and now.data > limit.data_bytes:
        raise MemoryError(f"the framework's libraries alone hold {now.data / 2**20:.0f} MiB")
    process_memory.bound(limit.data_bytes)


def needed(job: Job, limit: LimitWork) -> int:
    """Examples that fill every batch of a probe."""
    accumulation = job.recipe.accumulation if limit.phase == "training" else 1
    return limit.steps * job.recipe.batch_size * accumulation


def take(job: Job, built: Built, pipe: Pipe) -> ProbeResult:
    assert job.limit is not None
    session = built.session
    session.reset_peak()
    begun, before = process_memory.held(), session.allocator().peak_allocated_bytes
    steps = take_steps(job, session)
    allocated = session.allocator().peak_allocated_bytes
    pipe.send(ProbeStepsDone(steps=steps))
    pipe.wait_for_command()  # the parent has read the peak of the data segment
    process_memory.unbound()  # reading settings back may copy all weights
    return ProbeResult(
        steps=steps,
        allocated_bytes=allocated,
        allocated_before_bytes=before,
        data_before_bytes=begun.data if begun else None,
        effective=training.effective(session),
    )


def take_steps(job: Job, session: Session) -> int:
    """Optimizer steps, or evaluation batches, that were taken."""
    assert job.limit is not None
    if job.limit.phase == "training":
        counter = StepCounter()
        training.run(job, session, counter)
        session.synchronize()
        return counter.steps
    logits = session.predict(session.spec.train, batch_size=job.recipe.batch_size)
    session.synchronize()
    training.check_precision(session.precision_in_force(), job.recipe.precision)
    return ceil(len(logits) / job.recipe.batch_size)
