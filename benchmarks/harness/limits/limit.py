"""The search for one batch limit: a worker for every probe, recorded as soon as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Ready, Watch, measurement_of
from benchmarks.harness.jobs.events import ProbeEnded
from benchmarks.harness.jobs.job import Job, finder_names
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.limits.finders import run_finder
from benchmarks.harness.limits.prior import STOPPED, prior_of
from benchmarks.harness.limits.probe import GpuInUse, Prober
from benchmarks.harness.limits.search import FIRST_PROBE, Search
from benchmarks.harness.limits.text import expected_text, probe_text
from benchmarks.harness.machine.budgets import find_budget
from benchmarks.harness.machine.nvml import NvmlFailed
from results.schema import BatchLimit, Device, Expected, Measurement, Status

# The expected limit of a job within a budget in bytes; None where none was asked for.
# Errors: UserError where there is none, with the reason.
Expect = Callable[[Job, int], Expected | None]


class LimitJob:
    """One search, from what is known already to the proven limit."""

    def __init__(
        self,
        ready: Ready,
        folder: Path,
        device: Device,
        *,
        watch: Watch,
        record: Callable[[Measurement], None],
        earlier: Iterable[Measurement],
        expect: Expect,
    ) -> None:
        """`record` is called with the measurement after every probe, so that a stopped search can
        be resumed; `earlier` are the run's measurements so far; `expect` predicts the limit."""
        assert ready.job.limit is not None
        self._ready, self._asked = ready, ready.job.limit
        self._watch, self._record, self._expect = watch, record, expect
        self._began = time.monotonic()
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        budget = find_budget(self._asked.budget, ready.job.key.backend, device)
        prior = prior_of(ready, device, budget, earlier)
        self._prober = Prober(
            ready, folder, device, prior.budget, prior.effective, prior.peaks_are_counts
        )
        self._prober.notes += prior.notes
        self._probes, self._finders, self._expected = prior.probes, prior.finders, prior.expected
        self._search = Search(
            prior.budget.bytes,
            self._asked.highest,
            probes=prior.probes,
            peaks=prior.peaks,
            counts=prior.peaks_are_counts,
            expected=prior.expected.limit if prior.expected else None,
        )

    def run(self) -> Measurement:
        """Searches to the end, whatever that is."""
        try:
            return self._run()
        except WorkerEnded as error:  # the backend does not support the recipe
            return self._measurement(error.status, reason=error.reason)
        except (GpuInUse, NvmlFailed) as error:
            return self._measurement("failed", reason=str(error), **self._proven())
        except KeyboardInterrupt:
            self._record(self._unfinished())
            raise

    def _run(self) -> Measurement:
        if self._expected is None and self._asked.highest > FIRST_PROBE:
            self._ask_for_expectation()
        while (batch := self._search.next()) is not None:
            stopped = self._probe(batch)
            if stopped is not None:
                return stopped
        found: dict[str, Any] = {"limit": self._search.limit, "fails_at": self._search.fails_at}
        if self._search.limit == 0:
            free = self._prober.probe(1, bounded=False)
            if free.outcome not in ("ok", "oom", "host_oom"):  # the budget was not the reason
                return self._measurement(
                    STOPPED.get(free.outcome, "failed"),
                    reason=f"at batch 1 without the budget: {free.reason}",
                )
            found["needed_bytes"] = free.peak_bytes
        if self._asked.compare_finders:
            self._compare_finders()
        return self._measurement("ok", **found)

    def _ask_for_expectation(self) -> None:
        """Starts at the predicted limit; without one the search follows its own peaks."""
        try:
            self._expected = self._expect(self._ready.job, self._prober.budget.bytes)
        except UserError as error:
            self._prober.note(f"no predicted limit to start from: {error}")
        if self._expected is not None:
            self._search.start_at(self._expected.limit)
            self._show(expected_text(self._expected))

    def _probe(self, batch: int) -> Measurement | None:
        """Takes one probe; the measurement where it ends the search."""
        probe = self._prober.probe(batch)
        if self._prober.peaks_are_counts:
            self._search.peaks.are_counts()
        self._probes.append(probe)
        self._record(self._unfinished())
        self._show(probe_text(probe))
        if probe.outcome in STOPPED:
            return self._measurement(
                STOPPED[probe.outcome], reason=f"at batch {probe.batch_size}: {probe.reason}"
            )
        self._search.add(probe)
        return None

    def _compare_finders(self) -> None:
        finished = {finder.name for finder in self._finders}
        for name in finder_names(self._ready.job.key.backend):
            if name not in finished:
                self._finders.append(run_finder(self._prober, name))
                self._record(self._unfinished())

    def _measurement(
        self, status: Status, *, reason: str | None = None, **found: Any
    ) -> Measurement:
        fit, asked, prober = self._search.fit, self._asked, self._prober
        limit = BatchLimit(
            phase=asked.phase,
            budget=asked.budget,
            budget_bytes=prober.budget.bytes,
            emulated=prober.budget.emulated,
            enforced_by=prober.enforced_by(),
            highest=asked.highest,
            expected=self._expected,
            probes=self._probes,
            finders=self._finders,
            notes=prober.notes,
            peaks_are_counts=prober.peaks_are_counts,
            fixed_bytes=None if fit is None else fit.fixed_bytes,
            bytes_per_example=None if fit is None else fit.bytes_per_example,
            **{"limit": None, "fails_at": None} | found,
        )
        return measurement_of(
            self._ready,
            prober.device,
            status,
            reason=reason,
            started_at=self._started_at,
            seconds=time.monotonic() - self._began,
            effective=prober.effective,
            payload=limit,
            stderr_tail=[] if status == "ok" else prober.stderr_tail,
        )

    def _unfinished(self) -> Measurement:
        return self._measurement(
            "interrupted", reason="the run was stopped while this job ran", **self._proven()
        )

    def _proven(self) -> dict[str, Any]:
        """What is proven even though finders are still to come; a limit of 0 has no reason yet."""
        if self._search.next() is not None or self._search.limit == 0:
            return {}
        return {"limit": self._search.limit, "fails_at": self._search.fails_at}

    def _show(self, note: str) -> None:
        self._watch(self._ready.job.key, ProbeEnded(text=note))
