"""A run: all measurements of one call on one machine, in one folder, and how it goes on."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import ValidationError

from benchmarks.harness.equivalence.certify import certify_run
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.jobs.attempt import Attempt, Excluded, Ready, Watch, excluded_measurement
from benchmarks.harness.jobs.events import LimitFound, WorkerFailed
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.limits.limit import LimitJob
from benchmarks.harness.limits.probe import require_exclusive_gpu
from benchmarks.harness.limits.text import limit_text
from benchmarks.harness.machine import packages
from benchmarks.harness.machine.device import choose_device
from benchmarks.harness.plan.plan import JobSpec, Plan
from benchmarks.harness.predict.predictions import expectation
from benchmarks.harness.run import environments
from benchmarks.harness.run.folder import SETTLED
from benchmarks.harness.run.prepare import Inputs, check_device, prepare
from benchmarks.harness.run.race import SpeedJob, new_race, take_turns
from benchmarks.harness.run.single import SINGLE_JOBS
from results import store
from results.schema import Certificate, Measurement, RunInfo


class Run:
    """The folder of a run and what is still to do in it."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        # Absolute: the workers that are told of it run in another folder.
        self.folder, self.plan = folder.absolute(), plan
        self.device = choose_device(plan.device)
        self.prepared: dict[str, Ready | Excluded] = {}
        self._inputs: Inputs | None = None
        self._shared = False

    @classmethod
    def new(cls, root: Path, plan: Plan, name: str | None = None) -> Run:
        """A run whose folder is not made yet: first its input is prepared, so that bad input
        leaves nothing behind.

        Errors: UserError for a device that is not there or lacks a precision of the plan."""
        name = name or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{plan.profile}"
        run = cls(root / "runs" / name, plan)
        check_device(plan.jobs, run.device)
        return run

    @classmethod
    def join(cls, root: Path, plan: Plan) -> Run:
        """The one run of all environments of a single parent process, such as one call of tox:
        named after that process, made by whichever comes first."""
        parent = psutil.Process(os.getppid())
        began = datetime.fromtimestamp(parent.create_time(), UTC)
        run = cls.new(root, plan, f"{began:%Y%m%d-%H%M%S}-{plan.profile}-{parent.pid}")
        run._shared = True
        return run

    def create(self) -> None:
        """Makes the run's folder with run.json and plan.json, if it is not there yet; a run that
        several environments join learns what this one can run.

        Errors: UserError when the folder cannot be written."""
        if not self.folder.is_dir():
            self._create()
        if self._shared:
            try:
                environments.lend(self.folder, {spec.key.backend for spec in self.plan.jobs})
            except (store.StoreError, OSError) as error:
                raise UserError(f"{error}; choose another folder with --results") from None

    def _create(self) -> None:
        info = RunInfo(
            run=self.folder.name,
            profile=self.plan.profile,
            command=self.plan.command,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ftbench_version=packages.own_version(),
            device=self.device,
        )
        try:
            store.create_run(self.folder.parents[1], info, self.plan)
        except store.StoreError as error:
            raise UserError(f"{error}; choose another folder with --results") from None

    @classmethod
    def resume(cls, root: Path, name: str) -> Run:
        """A stopped run, by name or as 'last'.

        Errors: UserError where there is no such run or its plan cannot be read."""
        known = {
            path.name: path for path in store.runs(root) if (path / store.PLAN_FILE).is_file()
        }  # a prediction has none
        if name == "last" and known:
            name = list(known)[-1]
        if name not in known:
            raise (
                unknown("run", name, known)
                if known
                else UserError(
                    f"there is no run in {root / 'runs'}: --results names another folder"
                )
            )
        plan_file = known[name] / store.PLAN_FILE
        try:
            plan = Plan.model_validate_json(plan_file.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{plan_file} cannot be read, so the run cannot go on: {str(error).splitlines()[0]}"
            ) from None
        return cls(known[name], plan)

    def measurements(self) -> list[Measurement]:
        if not self.folder.is_dir():
            return []
        return store.read_run(self.folder)[1]

    def pending(self) -> list[JobSpec]:
        """What is still to do. A race is taken again as a whole where one of its jobs is still to
        do: alone, that job would be timed at another time than the others."""
        status = {m.job.id: m.status for m in self.measurements()}
        undone = {spec.key.id for spec in self.plan.jobs if status.get(spec.key.id) not in SETTLED}
        races = {
            spec.comparison
            for spec in self.plan.jobs
            if spec.key.id in undone and spec.key.question == "throughput"
        }
        return [
            spec
            for spec in self.plan.jobs
            if spec.key.id in undone or (spec.comparison in races and status[spec.key.id] == "ok")
        ]

    def prepare(self, specs: Sequence[JobSpec], say: Callable[[str], None]) -> None:
        """Reads data and makes job files for `specs`; before the first of them runs."""
        if any(spec.budget is not None for spec in specs):
            require_exclusive_gpu(self.device)
        if self._inputs is None:
            self._inputs = Inputs(self.plan, say)
        self.prepared = prepare(
            self._inputs, self.plan, specs, self.folder, self.device, environments.lent(self.folder)
        )

    def record(self, measurement: Measurement) -> None:
        """Keeps a measurement. That a framework is absent from this environment, or that a race
        was stopped, never replaces what was measured before.

        Errors: UserError when it cannot be written, such as on a full disk."""
        path = self.folder / f"{measurement.job.id}.json"
        stopped = (measurement.status, measurement.job.question) == ("interrupted", "throughput")
        if path.exists() and (stopped or measurement.status == "not_installed"):
            return
        try:
            store.write_measurement(self.folder, measurement)
        except store.StoreError as error:
            raise UserError(
                f"{error}; what was measured before is kept, and "
                f"`ftbench run --resume {self.folder.name}` goes on"
            ) from None

    def certify(self) -> list[Certificate]:
        """Lays all traces beside each other that this run has by now, also those that another
        environment added to it."""
        return certify_run(self.folder, self.measurements())

    @contextlib.contextmanager
    def attempt(self, ready: Ready, watch: Watch) -> Iterator[Attempt]:
        """A job's worker; a worker that ends early, or a run that is stopped, is recorded."""
        with Attempt(ready, self.folder, self.device, watch) as attempt:
            try:
                yield attempt
            except WorkerEnded as error:
                self.record(attempt.ended(error))
                raise
            except KeyboardInterrupt:
                self.record(attempt.interrupted())
                raise

    def run_whole(self, ready: Ready, watch: Watch) -> Measurement:
        """Any job but throughput's. Errors: WorkerEnded, after it was recorded."""
        if ready.job.limit:
            return self._find_limit(ready, watch)
        with self.attempt(ready, watch) as attempt:
            measurement = SINGLE_JOBS[ready.job.key.question](attempt)
        self.record(measurement)
        return measurement

    def _find_limit(self, ready: Ready, watch: Watch) -> Measurement:
        """A batch limit: a worker per probe. A probe that fails is no end of the job."""
        m = LimitJob(
            ready,
            self.folder,
            self.device,
            watch=watch,
            record=self.record,
            earlier=self.measurements(),
            expect=expectation(self.device, ready.where.python),
        ).run()
        self.record(m)
        if m.status != "ok":
            reason = m.reason or ""
            watch(m.job, WorkerFailed(status=m.status, reason=reason))
            raise WorkerEnded(m.status, reason, m.stderr_tail)
        watch(m.job, LimitFound(text=limit_text(m)))
        return m

    def run_race(
        self,
        group: Sequence[Ready],
        watch: Watch,
        decided: Callable[[Sequence[SpeedJob]], bool] | None = None,
    ) -> None:
        """The throughput jobs of one comparison, in turns: each participant takes its windows of
        round 1, then each its windows of round 2. One that ends early leaves the race.

        `decided` is asked after every round whether the race may end; such a race is about
        training alone, and times no evaluation."""
        race = new_race()
        with contextlib.ExitStack() as stack:
            racing: list[SpeedJob] = []

            def each(action: Callable[[SpeedJob], object]) -> None:
                for job in list(racing):
                    try:
                        action(job)
                    except WorkerEnded as error:
                        self.record(job.attempt.ended(error))
                        racing.remove(job)

            for ready in group:
                attempt = stack.enter_context(Attempt(ready, self.folder, self.device, watch))
                racing.append(SpeedJob(attempt, race))
                try:
                    racing[-1].start()
                except WorkerEnded as error:
                    self.record(attempt.ended(error))
                    racing.pop()
            try:
                plan = self.plan.throughput
                take_turns(
                    each,
                    plan.rounds,
                    plan.windows,
                    SpeedJob.training_window,
                    lambda: decided is not None and decided(racing),
                )
                if decided is None:
                    take_turns(
                        each, plan.rounds, plan.evaluation_windows, SpeedJob.evaluation_window
                    )
                each(lambda job: self.record(job.finish()))
            except KeyboardInterrupt:
                for job in racing:
                    self.record(job.attempt.interrupted())
                raise

    def execute(self, watch: Watch, begin: Callable[[Ready], None] = lambda ready: None) -> None:
        """All prepared jobs. A job that fails is recorded and the others go on."""
        for outcome in self.prepared.values():
            if isinstance(outcome, Excluded):
                self.record(excluded_measurement(outcome, self.device))
        for _, specs in itertools.groupby(self.plan.jobs, key=lambda spec: spec.comparison):
            found = (self.prepared.get(spec.key.id) for spec in specs)
            group = [outcome for outcome in found if isinstance(outcome, Ready)]
            if group and group[0].job.key.question == "throughput":
                begin(group[0])
                self.run_race(group, watch)
                continue
            for ready in group:
                begin(ready)
                with contextlib.suppress(WorkerEnded):  # recorded; the summary says it
                    self.run_whole(ready, watch)
