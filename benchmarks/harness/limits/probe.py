"""One probe of a batch limit: a worker trains a few steps at one batch size under the budget."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs import outcomes
from benchmarks.harness.jobs.attempt import Ready
from benchmarks.harness.jobs.events import Event, FrameworkLoaded, ProbeResult, ProbeStepsDone
from benchmarks.harness.jobs.job import Job, LimitWork
from benchmarks.harness.jobs.process import WorkerEnded, WorkerProcess
from benchmarks.harness.machine import cgroup
from benchmarks.harness.machine.budgets import Budget
from benchmarks.harness.machine.nvml import compute_processes
from benchmarks.harness.machine.process_memory import DataPeak, MemoryUse
from results.schema import MEMORY_OUTCOMES, Device, Outcome, Probe

PATIENCE_SECONDS = 5.0  # that a process of one's own may stay on NVML's list after its end
PROCESSES_UNKNOWN = (
    "NVML does not list the processes on this GPU, so it is not known whether others used some of "
    "its memory"
)


class GpuInUse(UserError):
    """Another process computes on the GPU."""


class Prober:
    """Runs workers under one budget, one after the other, and keeps what they report."""

    def __init__(
        self,
        ready: Ready,
        folder: Path,
        device: Device,
        budget: Budget,
        effective: dict[str, Any] | None = None,
        peaks_are_counts: bool = False,
    ) -> None:
        """`folder` is the run's; the last two are known when a search is resumed."""
        assert ready.job.limit is not None
        self.ready, self.device, self.budget = ready, device, budget
        self.limit: LimitWork = ready.job.limit
        self.effective = effective  # settings that the last successful worker read back
        self.peaks_are_counts = peaks_are_counts  # whether an allocator counted the peaks
        self.stderr_tail: list[str] = []  # of the last worker that failed
        self.notes: list[str] = []
        self._folder = folder
        self._has_memory_group = False

    def probe(self, batch: int, *, bounded: bool = True) -> Probe:
        """Trains at one batch size, within the budget unless `bounded` is false. Where the
        framework itself does not fit, no batch does, and the probe is recorded as batch 1.

        Errors: WorkerEnded where the recipe is unsupported; GpuInUse before the probe, or after a
        failure that another process may have caused."""
        job = self.job(
            f"batch_{batch}" if bounded else "without_budget", bounded=bounded, batch_size=batch
        )
        began = time.monotonic()
        peak, steps, reason = None, 0, None
        outcome: Outcome = "ok"
        events: list[Event] = []
        try:
            with self.worker(job, events.append) as worker:
                peak, steps = self._steps(worker)
        except WorkerEnded as ended:
            if ended.status == "unsupported":
                raise
            outcome, reason = outcome_of(ended), failure_reason(ended)
            self.stderr_tail = ended.stderr_tail
            self.check_gpu()
            loaded = any(isinstance(event, FrameworkLoaded) for event in events)
            if outcome in MEMORY_OUTCOMES and not loaded:
                batch = 1
        return Probe(
            batch_size=batch,
            outcome=outcome,
            peak_bytes=peak,
            steps=steps,
            seconds=time.monotonic() - began,
            reason=reason,
        )

    def _steps(self, worker: WorkerProcess) -> tuple[int | None, int]:
        """The peak in bytes of a worker that takes its steps, and their number."""
        with DataPeak(worker.pid) as data:
            steps = worker.expect(ProbeStepsDone).steps
        if self.device.kind == "gpu" and not compute_processes():
            self.note(PROCESSES_UNKNOWN)  # not even the worker is listed
        worker.go()
        result = worker.expect(ProbeResult)
        self.effective = result.effective
        if self.device.kind == "gpu":
            return result.allocated_bytes, steps
        peak, counted = used_bytes(result, data.highest)
        self.peaks_are_counts = self.peaks_are_counts or counted
        return peak, steps

    @contextlib.contextmanager
    def worker(self, job: Job, watch: Callable[[Event], None]) -> Iterator[WorkerProcess]:
        """A worker: on a CPU in a memory control group if one can be made, on a GPU alone."""
        self.check_gpu()
        with contextlib.ExitStack() as stack:
            group = None
            if job.limit and job.limit.data_bytes is not None:
                group = stack.enter_context(cgroup.memory_group(job.limit.data_bytes))
            worker = stack.enter_context(WorkerProcess(job, self._folder, watch))
            if group is not None:
                cgroup.enter(group, worker.pid)
                self._has_memory_group = True
            yield worker

    def job(
        self,
        name: str,
        *,
        bounded: bool = True,
        batch_size: int = 1,
        finder: str | None = None,
    ) -> Job:
        """The job of one worker; `name` sets its files apart."""
        job, changes = self.ready.job, dict[str, Any](finder=finder)
        if bounded and self.device.kind == "cpu":
            changes["data_bytes"] = self.budget.bytes
        elif bounded and self.budget.bounds_framework:
            changes["framework_bytes"] = self.budget.bytes
        return job.model_copy(
            update={
                "key": job.key.model_copy(update={"id": f"{job.key.id}-{name}"}),
                "recipe": job.recipe.model_copy(update={"batch_size": batch_size}),
                "limit": self.limit.model_copy(update=changes),
            }
        )

    def enforced_by(self) -> str:
        """What keeps a worker within the budget."""
        if self.device.kind == "gpu":
            return "the framework's own limit" if self.budget.bounds_framework else "the device"
        if self._has_memory_group:
            return "RLIMIT_DATA, a memory control group behind it"
        return "RLIMIT_DATA; no memory control group could be made"

    def check_gpu(self) -> None:
        """Errors: GpuInUse where another process computes on the GPU."""
        if not require_exclusive_gpu(self.device):
            self.note(PROCESSES_UNKNOWN)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def used_bytes(result: ProbeResult, peak: MemoryUse) -> tuple[int, bool]:
    """The bytes that a CPU probe needed at its peak, from the worker's result and from what its
    process held, and whether they come from an allocator's count."""
    allocated, before = result.allocated_bytes, result.allocated_before_bytes
    data = result.data_before_bytes
    if allocated is None or before is None or data is None:
        return peak.data, False
    return max(data - before + allocated, peak.resident), True


def require_exclusive_gpu(device: Device) -> bool:
    """Checks that nobody computes on the GPU; False where NVML does not list its processes. The
    driver may list a worker for a moment after its end, so it is asked again for a while.

    Errors: GpuInUse where another process does: the limit found would be too low; NvmlFailed where
    the driver does not answer."""
    others = compute_processes() if device.kind == "gpu" else []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while others and time.monotonic() < deadline:
        time.sleep(0.1)
        others = compute_processes()
    if others:
        raise GpuInUse(
            f"the GPU is in use by {', '.join(others)}: stop it or wait until it ends, because a "
            "batch limit needs the whole GPU"
        )
    return others is not None


def outcome_of(ended: WorkerEnded) -> Outcome:
    """How the end of a worker counts for a search."""
    if ended.status == "timeout":
        return "timeout"
    if ended.text is not None:
        return outcomes.of_exception(ended.text)
    if ended.exit_code is None:
        return "error"
    return outcomes.of_end(ended.exit_code, ended.stderr_tail)


def failure_reason(ended: WorkerEnded) -> str:
    """One line: the exception's message, or how the process ended and its last line of stderr."""
    if ended.text is not None:
        return outcomes.telling_line(ended.text)
    last = f": {ended.stderr_tail[-1]}" if ended.exit_code is not None and ended.stderr_tail else ""
    return f"{ended.reason}{last}"[: outcomes.LINE_CHARACTERS]
