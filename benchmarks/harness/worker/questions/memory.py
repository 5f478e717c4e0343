"""Memory: a training of its own, which is never timed.

`peak_process_bytes` is the kernel's high-water mark of resident memory, reset after the framework
was imported and the data read, minus its value at that moment: the memory of model, optimizer and
training. The allocator's own peaks are read from the framework; the memory in use on the whole
device is sampled by the parent. Batches are padded to the recipe's full length. After those peaks
have been read, one more step gives the peak of each phase, if the framework runs a step in phases.
"""

from __future__ import annotations

from benchmarks.harness.jobs.events import MemoryResult, StepEnded
from benchmarks.harness.jobs.job import Built, Job
from benchmarks.harness.jobs.pipe import Pipe
from benchmarks.harness.machine import process_memory
from benchmarks.harness.worker import training
from frameworks.contract import Session, StepPhase
from results.schema import Gap, Memory


class PhasePeaks:
    """The peak in each phase of a step: the allocator's on a GPU; on a CPU the process's, minus its
    memory before the model was built."""

    def __init__(self, session: Session, before: int | None) -> None:
        self._session, self._before = session, before
        self._phase: StepPhase | None = None
        self.listening = False  # reading the peaks resets them
        self.peaks: dict[str, int] = {}
        self.has_phases = session.tell_phases(self.begin_phase)

    def begin_phase(self, phase: StepPhase | None) -> None:
        if not self.listening:
            return
        peak = self._peak()
        if self._phase and peak is not None:  # a phase repeats if batches are accumulated
            self.peaks[self._phase] = max(peak, self.peaks.get(self._phase, 0))
        self._phase = phase
        self._session.device.reset_peak()
        process_memory.reset_peak()

    def _peak(self) -> int | None:
        allocated = self._session.device.allocator().peak_allocated_bytes
        if allocated is not None:
            return allocated
        peak = process_memory.peak()
        return None if peak is None or self._before is None else peak - self._before


class MemoryWatch(training.JobWatch):
    """Counts executed steps, reads the peaks after the last one that counts, and then records the
    phases of one more step."""

    def __init__(self, job: Job, built: Built, pipe: Pipe) -> None:
        self._last, self._built, self._pipe = job.memory.steps, built, pipe
        self.phases = PhasePeaks(built.session, built.before_model_bytes)
        self.figures = Memory(steps=0)
        self.steps = 0

    def step_end(self, step: int) -> bool:
        self.steps = step
        self._pipe.send(StepEnded(step=step))
        if step == self._last:
            self.figures = read_peaks(self._built, step)
            self.phases.listening = True
        return step > self._last or (step == self._last and not self.phases.has_phases)


def read_peaks(built: Built, steps: int) -> Memory:
    built.session.device.synchronize()
    allocator = built.session.device.allocator()
    peak, before = process_memory.peak(), built.before_model_bytes
    return Memory(
        steps=steps,
        peak_allocated_bytes=allocator.peak_allocated_bytes,
        peak_reserved_bytes=allocator.peak_reserved_bytes,
        allocator_retries=allocator.retries,
        allocator_out_of_memory_events=allocator.out_of_memory_events,
        peak_process_bytes=None if peak is None or before is None else peak - before,
        before_model_bytes=before,
    )


def measure(job: Job, built: Built, pipe: Pipe) -> MemoryResult:
    watch = MemoryWatch(job, built, pipe)
    built.session.device.reset_peak()
    training.run(job, built.session, watch)
    effective = training.effective(built.session, watch.steps)
    memory = watch.figures.model_copy(update={"phase_peaks": watch.phases.peaks or None})
    gaps: dict[str, Gap] = {}
    if memory.peak_process_bytes is None:  # the kernel did not let the mark be reset
        gaps["peak_process_bytes"] = "unsupported"
    for name in ("peak_allocated_bytes", "peak_reserved_bytes"):
        if getattr(memory, name) is None:
            on_gpu = str(effective["device"]).startswith("gpu")
            gaps[name] = "unsupported" if on_gpu else "no_gpu"
    if not watch.phases.peaks:
        gaps["phase_peaks"] = "unsupported"
    return MemoryResult(memory=memory, gaps=gaps, effective=effective)
