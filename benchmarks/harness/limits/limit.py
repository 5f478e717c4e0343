"""The parent's side of a batch limit: a worker for every probe, each kept as soon as it ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Ready, Watch, measurement_of
from benchmarks.harness.jobs.job import Job, LimitWork
from benchmarks.harness.jobs.process import Event, WorkerEnded, WorkerProcess
from benchmarks.harness.limits import probe as probe_limits
from benchmarks.harness.limits.probe import CANNOT_TELL, NotAlone, outcome_of, refuse_company, why
from benchmarks.harness.limits.search import FIRST_PROBE, Search
from benchmarks.harness.limits.text import expected_text, probe_text
from benchmarks.harness.machine import budgets, cgroup
from benchmarks.harness.machine.nvml import NvmlFailed, compute_processes
from benchmarks.harness.machine.process_memory import DataPeak
from benchmarks.harness.predict.predictions import expected_limit
from benchmarks.harness.worker.finders import FINDERS
from results.schema import (
    MEMORY_OUTCOMES,
    BatchLimit,
    Device,
    Expected,
    Finder,
    Measurement,
    Outcome,
    Probe,
    Status,
)

STOPPED: dict[Outcome, Status] = {"timeout": "timeout", "error": "failed"}
FINDER_TIMES = 6  # a finder has the time limit of as many probes


class LimitJob:
    """One search. `keep` is given the measurement after every probe, so that a stopped search
    goes on from there; `taken` are the run's measurements so far."""

    def __init__(
        self,
        ready: Ready,
        folder: Path,
        device: Device,
        watch: Watch,
        keep: Callable[[Measurement], None],
        taken: Sequence[Measurement],
    ) -> None:
        assert ready.job.limit is not None
        self._ready, self._folder, self._device = ready, folder, device
        self._watch, self._keep = watch, keep
        self._asked: LimitWork = ready.job.limit
        self._budget = budgets.find_budget(self._asked.budget, ready.job.key.backend, device)
        self._began, self._grouped = time.monotonic(), False
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._effective: dict[str, Any] | None = None
        self._counts = False  # whether the peaks are
        self._stderr_tail: list[str] = []
        self._notes = [self._budget.note] if self._budget.note else []
        self._probes: list[Probe] = []
        self._finders: list[Finder] = []
        self._peaks: dict[int, int] = {}  # under other budgets
        self._expected: Expected | None = None
        self._search = self._made()
        self._begin(taken)
        self._search = self._made()

    def run(self) -> Measurement:
        """The whole search."""
        try:
            return self._run()
        except WorkerEnded as error:  # the backend cannot honour the recipe
            return self._measurement(error.status, reason=error.reason)
        except (NotAlone, NvmlFailed) as error:
            return self._measurement("failed", reason=str(error), **self._proven())
        except KeyboardInterrupt:
            self._keep(self._unfinished())
            raise

    def _run(self) -> Measurement:
        if self._expected is None and self._asked.highest > FIRST_PROBE:
            self._predict()
        while (batch := self._search.next()) is not None:
            probe = self._probe(batch)
            self._probes.append(probe)
            self._keep(self._unfinished())
            self._tell(probe)
            if probe.outcome in STOPPED:
                return self._measurement(
                    STOPPED[probe.outcome], reason=f"at batch {probe.batch_size}: {probe.reason}"
                )
            self._search.add(probe)
        fields: dict[str, Any] = {"limit": self._search.limit, "fails_at": self._search.fails_at}
        if self._search.limit == 0:
            free = self._probe(1, bounded=False)
            if free.outcome not in ("ok", "oom", "host_oom"):  # so the budget was not the reason
                return self._measurement(
                    STOPPED.get(free.outcome, "failed"),
                    reason=f"at batch 1 without the budget: {free.reason}",
                )
            fields["needed_bytes"] = free.peak_bytes
        for name in FINDERS if self._asked.compare_finders else ():
            if name not in {finder.name for finder in self._finders}:
                self._finders.append(self._find(name))
                self._keep(self._unfinished())
        return self._measurement("ok", **fields)

    def _begin(self, taken: Sequence[Measurement]) -> None:
        """Goes on from this job's own probes. The same work's peaks under other budgets tell the
        line, and its limit on another task where to look; a comparison of finders does without."""
        alike = [
            (m, m.batch_limit)
            for m in taken
            if m.batch_limit is not None and self._alike(m, m.batch_limit)
        ]
        for m, found in alike:
            if m.job.id == self._ready.job.key.id:
                self._go_on_from(m, found)
        for m, found in alike:
            self._counts = self._counts or found.peaks_are_counts
            if m.job.id == self._ready.job.key.id or self._asked.compare_finders:
                continue
            if m.job.task == self._ready.job.key.task:
                self._peaks |= {p.batch_size: p.peak_bytes for p in found.probes if p.peak_bytes}
            elif (
                self._expected is None
                and found.limit is not None
                and found.budget_bytes == self._budget.bytes
            ):
                self._expected = Expected(
                    limit=found.limit, source=f"the limit on {m.job.task}", seconds=0.0
                )

    def _made(self) -> Search:
        return Search(
            self._budget.bytes,
            self._asked.highest,
            probes=self._probes,
            peaks=self._peaks,
            counts=self._counts,
            expected=self._expected.limit if self._expected else None,
        )

    def _predict(self) -> None:
        """Where the limit should be; a search that is not told goes by its own peaks alone."""
        began = time.monotonic()
        try:
            limit = expected_limit(
                self._ready.job, self._device, self._budget.bytes, self._ready.where.python
            )
        except UserError as error:
            self._note(f"the search was not told where to look: {error}")
            return
        self._expected = Expected(limit=limit, source="predicted", seconds=time.monotonic() - began)
        self._search = self._made()
        self._watch(self._ready.job.key, {"event": "probe", "note": expected_text(self._expected)})

    def _alike(self, m: Measurement, found: BatchLimit) -> bool:
        """Whether a measurement's memory is this job's: all but the budget and the task."""
        mine = self._measurement("interrupted")
        same = ("recipe", "device", "versions", "checkpoint", "environment")
        return (
            m.job.backend == mine.job.backend
            and found.phase == self._asked.phase
            and all(getattr(m, name) == getattr(mine, name) for name in same)
        )

    def _go_on_from(self, m: Measurement, found: BatchLimit) -> None:
        if self._asked.budget == budgets.DEVICE:  # it is what was free when the search began
            self._budget = replace(self._budget, bytes=found.budget_bytes)
        if found.budget_bytes != self._budget.bytes:
            return
        self._probes = [p for p in found.probes if p.outcome not in STOPPED]
        self._finders, self._effective = list(found.finders), m.effective
        self._expected = found.expected
        for note in found.notes:
            self._note(note)

    def _probe(self, batch: int, *, bounded: bool = True) -> Probe:
        """One worker at one batch size; where not even the framework fits, no batch does, and the
        probe is one of batch 1. Errors: WorkerEnded where the recipe is unsupported; NotAlone
        before it and after a failure, which another process may have brought about."""
        name = f"batch_{batch}" if bounded else "without_budget"
        job = self._job(name, bounded, batch_size=batch)
        began = time.monotonic()
        peak, steps, reason = None, 0, None
        outcome: Outcome = "ok"
        seen: set[str] = set()
        try:
            with self._worker(job, lambda event: seen.add(event["event"])) as worker:
                with DataPeak(worker.pid) as data:
                    steps = worker.expect("stepped")["steps"]
                if self._device.kind == "gpu" and not compute_processes():
                    self._note(CANNOT_TELL)  # not even the worker is listed
                worker.go()
                result = worker.expect("result")
            self._effective = result["effective"]
            peak = result["allocated_bytes"]
            if self._device.kind == "cpu":
                peak, counted = probe_limits.used_bytes(result, data.held)
                if counted and not self._counts:
                    self._counts = True
                    self._search.peaks_are_counts()
        except WorkerEnded as ended:
            if ended.status == "unsupported":
                raise
            outcome, reason, self._stderr_tail = outcome_of(ended), why(ended), ended.stderr_tail
            self._refuse_company()
            if outcome in MEMORY_OUTCOMES and "loaded" not in seen:
                batch = 1
        return Probe(
            batch_size=batch,
            outcome=outcome,
            peak_bytes=peak,
            steps=steps,
            seconds=time.monotonic() - began,
            reason=reason,
        )

    def _find(self, name: str) -> Finder:
        """Another finder on the same work and budget, in one process."""
        job = self._job(f"finder_{name}", True, finder=name).model_copy(
            update={"time_limit_seconds": FINDER_TIMES * self._ready.job.time_limit_seconds}
        )
        tried: list[int] = []

        def show(event: Event) -> None:
            if event["event"] == "trying":
                tried.append(event["batch_size"])

        began = time.monotonic()
        result: dict[str, Any]
        try:
            with self._worker(job, show) as worker:
                result = worker.expect("result")
        except WorkerEnded as ended:
            at = f"ended at batch {tried[-1]}" if tried else "ended before its first batch"
            result = {"answer": None, "reason": f"{at}: {why(ended)}"}
        self._refuse_company()
        return Finder(
            name=name,
            answer=result["answer"],
            probes=len(tried),
            seconds=time.monotonic() - began,
            reason=result["reason"],
        )

    @contextlib.contextmanager
    def _worker(self, job: Job, show: Callable[[Event], None]) -> Iterator[WorkerProcess]:
        """A worker, on a CPU inside a memory group where one can be made, on a GPU alone."""
        self._refuse_company()
        with contextlib.ExitStack() as stack:
            group = None
            if job.limit and job.limit.data_bytes is not None:
                group = stack.enter_context(cgroup.memory_group(job.limit.data_bytes))
            worker = stack.enter_context(WorkerProcess(job, self._folder, show))
            if group is not None:
                cgroup.enter(group, worker.pid)
                self._grouped = True
            yield worker

    def _job(self, name: str, bounded: bool, batch_size: int = 1, finder: str | None = None) -> Job:
        """The work of one worker; its files have their own name."""
        job, own = self._ready.job, dict[str, Any](finder=finder)
        if bounded and self._device.kind == "cpu":
            own["data_bytes"] = self._budget.bytes
        elif bounded and self._budget.bounds_framework:
            own["framework_bytes"] = self._budget.bytes
        return job.model_copy(
            update={
                "key": job.key.model_copy(update={"id": f"{job.key.id}-{name}"}),
                "recipe": job.recipe.model_copy(update={"batch_size": batch_size}),
                "limit": self._asked.model_copy(update=own),
            }
        )

    def _measurement(
        self, status: Status, *, reason: str | None = None, **found: Any
    ) -> Measurement:
        fit, asked = self._search.fit, self._asked
        limit = BatchLimit(
            phase=asked.phase,
            budget=asked.budget,
            budget_bytes=self._budget.bytes,
            emulated=self._budget.emulated,
            enforced_by=self._enforced_by(),
            highest=asked.highest,
            expected=self._expected,
            probes=self._probes,
            finders=self._finders,
            notes=self._notes,
            peaks_are_counts=self._counts,
            fixed_bytes=None if fit is None else fit.fixed_bytes,
            bytes_per_example=None if fit is None else fit.bytes_per_example,
            **{"limit": None, "fails_at": None} | found,
        )
        return measurement_of(
            self._ready,
            self._device,
            status,
            reason=reason,
            started_at=self._started_at,
            seconds=time.monotonic() - self._began,
            effective=self._effective,
            batch_limit=limit,
            stderr_tail=[] if status == "ok" else self._stderr_tail,
        )

    def _unfinished(self) -> Measurement:
        return self._measurement(
            "interrupted", reason="the run was stopped while this job ran", **self._proven()
        )

    def _proven(self) -> dict[str, Any]:
        """What stands, though finders are still to come; of 0 it is not yet known why."""
        if self._search.next() is not None or self._search.limit == 0:
            return {}
        return {"limit": self._search.limit, "fails_at": self._search.fails_at}

    def _enforced_by(self) -> str:
        if self._device.kind == "cpu":
            return "RLIMIT_DATA" + (
                ", a memory control group behind it"
                if self._grouped
                else "; no memory control group could be made"
            )
        return "the framework's own limit" if self._budget.bounds_framework else "the device"

    def _refuse_company(self) -> None:
        if not refuse_company(self._device):
            self._note(CANNOT_TELL)

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _tell(self, probe: Probe) -> None:
        self._watch(self._ready.job.key, {"event": "probe", "note": probe_text(probe)})
