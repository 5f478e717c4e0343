"""Runs the jobs of a plan and records every measurement in the run's folder."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Callable, Sequence

from benchmarks.harness.jobs.attempt import Attempt, Excluded, Ready, Watch, excluded_measurement
from benchmarks.harness.jobs.events import Event, LimitFound, WorkerFailed
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.limits.limit import LimitJob
from benchmarks.harness.limits.probe import require_exclusive_gpu
from benchmarks.harness.limits.text import limit_text
from benchmarks.harness.machine.device import readable_gpu
from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.predict.predictions import expectation
from benchmarks.harness.run.callbacks import with_callbacks
from benchmarks.harness.run.companions import exclude_crowded
from benchmarks.harness.run.environments import shared_environments
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.prepare import Inputs, prepare
from benchmarks.harness.run.race import Decided, Race
from benchmarks.harness.run.single import SINGLE_JOBS
from benchmarks.harness.trackers.tracking import Tracking, check_installed
from results.schema import JobKey, Measurement

SIDE_BY_SIDE = ("equivalence", "memory")  # no figure of these jobs depends on the time they take
TIMED = "accuracy"  # these only import their frameworks at the same time


class Run:
    """What `ftbench run`, tuning and pytest do with a run's folder."""

    def __init__(
        self,
        folder: RunFolder,
        say: Callable[[str], None],
        watch: Watch,
        decided: Decided | None = None,
    ) -> None:
        """`say` prints a line; `watch` is shown every event of every worker; `decided` ends the
        races of a plan that adds launches until they are decided."""
        self.folder, self._say, self._show = folder, say, watch
        self._tracking = Tracking(folder.plan.track, folder.path, say)
        self._decided = decided if folder.plan.throughput.until == "decided" else None
        self._inputs: Inputs | None = None
        self._queue: list[Ready] = []  # the prepared jobs, in the order in which they run
        self._ahead: Attempt | None = None  # runs beside the current job
        self._ahead_since = 0.0
        self._was_ahead = False  # the current job

    def prepare(self, specs: Sequence[JobSpec]) -> dict[str, Ready | Excluded]:
        """Reads the data and the checkpoint that these jobs need, and checks what can run here; by
        job id.

        Errors: UserError for whatever is wrong with checkpoint, data or recipe."""
        folder = self.folder
        check_installed(folder.plan.track)
        if any(spec.budget is not None for spec in specs):
            with readable_gpu():
                require_exclusive_gpu(folder.device)
        if self._inputs is None:
            self._inputs = Inputs(folder.plan, self._say)
            note = folder.plan.seed_note()
            if note:
                self._say(note)
            if names := folder.left_out:
                self._say(
                    f"environment variables not passed on to workers: {', '.join(names)} (use "
                    "--threads, --recipe, or [environment.BACKEND] in a profile)"
                )
        shared = shared_environments(folder.path)
        jobs = prepare(self._inputs, folder.plan, specs, folder.path, folder.device, shared)
        jobs = with_callbacks(jobs, folder.plan)
        if folder.device.kind == "gpu":
            self._say("predicting whether the participants of each race fit into the GPU")
        with readable_gpu():
            jobs |= exclude_crowded(specs, jobs, folder.device)
        self._queue = [outcome for outcome in jobs.values() if isinstance(outcome, Ready)]
        return jobs

    def execute(
        self,
        prepared: dict[str, Ready | Excluded],
        begin: Callable[[Ready], None] = lambda ready: None,
    ) -> None:
        """Runs all prepared jobs. A job that fails is recorded and the others go on. `begin` is
        shown each job, of a race its first."""
        self._tracking.start()
        for outcome in prepared.values():
            if isinstance(outcome, Excluded):
                self.folder.record(excluded_measurement(outcome, self.folder.device))
        for _, specs in itertools.groupby(self.folder.plan.jobs, key=lambda spec: spec.comparison):
            outcomes = (prepared.get(spec.key.id) for spec in specs)
            jobs = [outcome for outcome in outcomes if isinstance(outcome, Ready)]
            if jobs and jobs[0].job.key.question == "throughput":
                begin(jobs[0])
                self.race(jobs, self._decided)
                continue
            for ready in jobs:
                begin(ready)
                with contextlib.suppress(WorkerEnded):  # recorded; the summary shows it
                    self.measure(ready)

    def race(
        self, jobs: Sequence[Ready], decided: Decided | None = None, evaluation: bool = True
    ) -> None:
        """Runs the throughput jobs of one comparison in turns. See `Race`."""
        with Race(self.folder, self._watch, decided) as race:
            race.run(jobs, evaluation)

    def measure(self, ready: Ready) -> Measurement:
        """Runs a job of any question but throughput. Errors: WorkerEnded, after it was recorded."""
        if ready.job.limit:
            return self._find_limit(ready)
        self._tracking.begin(ready)
        with self._started(ready) as attempt:
            try:
                self._start_next(ready)
                if ready.job.key.question == TIMED:
                    attempt.load()
                    self._load_next()
                    attempt.worker.go()
                measurement = SINGLE_JOBS[ready.job.key.question](attempt)
            except WorkerEnded as error:
                self._record(attempt.ended(error))
                raise
            except KeyboardInterrupt:
                self._record(attempt.interrupted())
                raise
        self._record(measurement)
        if written := ready.job.checkpoints:  # they were for this training alone
            shutil.rmtree(written.folder, ignore_errors=True)
        return measurement

    def _record(self, m: Measurement) -> None:
        self.folder.record(m)
        self._tracking.end(m)

    def _watch(self, key: JobKey, event: Event) -> None:
        self._show(key, event)
        self._tracking.watch(key, event)

    def _started(self, ready: Ready) -> Attempt:
        """The job's worker, which may have been started already, beside the previous job."""
        ahead, self._ahead = self._ahead, None
        self._was_ahead = ahead is not None and ahead.ready.job.key == ready.job.key
        if ahead and self._was_ahead:
            # Two at a time are slower, and its answer may have waited for the other job's.
            ahead.worker.extend(time.monotonic() - self._ahead_since)
            return ahead
        if ahead:  # not the job that was expected: it starts again when its turn comes
            ahead.worker.kill()
        return Attempt(ready, self.folder.path, self.folder.device, self._watch)

    def _start_next(self, ready: Ready) -> None:
        """Starts the next job too, where the profile runs two at a time: most of such a job is the
        start of a framework, which uses one core. On a GPU every job has the device to itself."""
        folder = self.folder
        if not folder.plan.side_by_side or folder.device.kind != "cpu":
            return
        key = ready.job.key
        following = itertools.dropwhile(lambda queued: queued.job.key != key, self._queue)
        job = next(itertools.islice(following, 1, None), None)
        if job is None or job.job.key.question != key.question:
            return
        # Nothing is imported while a training is timed, so trainings start in pairs.
        together = key.question in SIDE_BY_SIDE or (key.question == TIMED and not self._was_ahead)
        if together and len(os.sched_getaffinity(0)) > 1:
            self._ahead = Attempt(job, folder.path, folder.device, self._watch)
            self._ahead_since = time.monotonic()

    def _load_next(self) -> None:
        """Waits until the next training has imported its framework, and rests. One that fails at that
        starts again when its turn comes."""
        if self._ahead:
            try:
                self._ahead.load()
            except WorkerEnded:
                self._ahead.worker.kill()
                self._ahead = None

    def close(self) -> None:
        """Ends a worker that was started for a job whose turn has not come, and the trackers."""
        if self._ahead:
            self._ahead.worker.kill()
            self._ahead = None
        if self.folder.path.is_dir():
            self.folder.record_trackers(self._tracking.close(self.folder.measurements))

    def _find_limit(self, ready: Ready) -> Measurement:
        """A batch limit takes one worker per probe; one that runs out of memory is no failure."""
        folder = self.folder
        m = LimitJob(
            ready,
            folder.path,
            folder.device,
            watch=self._watch,
            record=folder.record,
            earlier=folder.measurements(),
            expect=expectation(folder.device, ready.where.python),
        ).run()
        folder.record(m)
        if m.status != "ok":
            reason = m.reason or ""
            self._watch(m.job, WorkerFailed(status=m.status, reason=reason))
            raise WorkerEnded(m.status, reason, m.stderr_tail)
        self._watch(m.job, LimitFound(text=limit_text(m)))
        return m
