"""One probe of a batch limit: a few steps at one batch size under the budget, every batch full and
padded to the full length.

A CPU's budget is applied to this process as soon as the framework is imported, so it includes the
framework's libraries. A GPU's budget is passed to the framework. After the last step the parent
reads the peak of the data segment; what happens afterwards is not limited.

TensorFlow's allocator reserves regions that double in size, so its data segment grows in jumps and
says little about what a batch needs. It counts what it allocates, so its peak is that count plus
everything else that the process used when training began, or the resident memory if that is more.
"""

from __future__ import annotations

from math import ceil

from benchmarks.harness.jobs.events import ProbeResult, ProbeStepsDone
from benchmarks.harness.jobs.job import Built, Job, LimitWork
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.machine import process_memory
from benchmarks.harness.worker import training
from frameworks.contract import Session


class StepCounter(training.JobWatch):
    """Counts executed steps."""

    def __init__(self) -> None:
        self.steps = 0

    def step_end(self, step: int) -> bool:
        self.steps = step
        return False


def apply_budget(limit: LimitWork) -> None:
    """Limits this process to a CPU's budget. Errors: MemoryError if it uses more already."""
    if limit.data_bytes is None:
        return
    now = process_memory.read_memory()
    if now and now.data > limit.data_bytes:
        raise MemoryError(f"the framework's libraries alone hold {now.data / 2**20:.0f} MiB")
    process_memory.limit_data_segment(limit.data_bytes)


def examples_needed(job: Job, limit: LimitWork) -> int:
    """The number of examples that fill every batch of a probe."""
    accumulation = job.recipe.accumulation if limit.phase == "training" else 1
    return limit.steps * job.recipe.batch_size * accumulation


def measure(job: Job, built: Built, pipe: Pipe) -> ProbeResult:
    assert job.limit is not None
    session = built.session
    session.device.reset_peak()
    begun, before = process_memory.read_memory(), session.device.allocator().peak_allocated_bytes
    steps = take_steps(job, session)
    allocated = session.device.allocator().peak_allocated_bytes
    pipe.send(ProbeStepsDone(steps=steps))
    pipe.wait_for_command()  # the parent has read the peak of the data segment
    process_memory.remove_data_limit()  # what is read back for the record needs memory too
    trained = steps if job.limit.phase == "training" else 0
    return ProbeResult(
        steps=steps,
        allocated_bytes=allocated,
        allocated_before_bytes=before,
        data_before_bytes=begun.data if begun else None,
        effective=training.effective(session, trained),
    )


def take_steps(job: Job, session: Session) -> int:
    """Takes the probe's steps; the number of optimizer steps, or of evaluation batches."""
    assert job.limit is not None
    if job.limit.phase == "training":
        counter = StepCounter()
        training.run(job, session, counter)
        session.device.synchronize()
        return counter.steps
    logits = session.predict(session.spec.train, batch_size=job.recipe.batch_size)
    session.device.synchronize()
    training.check(session, session.effective(), steps=0)
    return ceil(len(logits) / job.recipe.batch_size)
