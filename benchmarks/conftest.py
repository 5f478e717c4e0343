"""Options and fixtures. The jobs of the chosen profile become the parameters of the tests."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.cli.options import add_options, planned
from benchmarks.harness.cli.report import FAILURES, backend_titles, render
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Attempt, Excluded, Ready, excluded_measurement
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.run.race import SpeedJob, new_race
from benchmarks.harness.run.run import Run
from results.report import table
from results.schema import Measurement
from results.schema.job import comparison

RUN = pytest.StashKey[Run]()
EVALUATION = "evaluation"  # marks a test that only the jobs take that evaluate too
JOIN = "FTBENCH_JOIN"  # set: all environments that one parent process calls share a run


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser.getgroup("ftbench").addoption)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{EVALUATION}: only for jobs that evaluate too")
    try:
        plan = planned(config.getoption, ["pytest", *map(str, config.invocation_params.args)])
        make = Run.join if os.environ.get(JOIN) else Run.new
        config.stash[RUN] = make(Path(config.getoption("results")), plan)
    except UserError as error:
        pytest.exit(f"ftbench: {error}", returncode=2)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`job` takes every job of the module's question; `round` goes round by round through all
    jobs of a comparison, so that backends take turns."""
    if "job" not in metafunc.fixturenames:
        return
    plan = metafunc.config.stash[RUN].plan
    jobs = [spec for spec in plan.jobs if spec.key.question == metafunc.module.QUESTION]
    if metafunc.definition.get_closest_marker(EVALUATION):
        jobs = [spec for spec in jobs if spec.evaluates]
    if "round_" not in metafunc.fixturenames:
        metafunc.parametrize("job", jobs, ids=[_name(spec) for spec in jobs])
        return
    turns = [
        (spec, round_)
        for comparison in dict.fromkeys(spec.comparison for spec in jobs)
        for round_ in range(plan.throughput.rounds)
        for spec in jobs
        if spec.comparison == comparison
    ]
    ids = [f"{_name(spec)}-round{round_ + 1}" for spec, round_ in turns]
    metafunc.parametrize(("job", "round_"), turns, ids=ids)


def _name(spec: JobSpec) -> str:
    return spec.key.id.removeprefix(f"{spec.key.question}-")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the jobs of a comparison together, so that only its workers live at one time; the
    questions stay in the plan's order, all timing before the long trainings."""
    if RUN not in config.stash:
        return
    jobs = config.stash[RUN].plan.jobs
    place = {
        comparison: index
        for index, comparison in enumerate(dict.fromkeys(spec.comparison for spec in jobs))
    }
    # A question that the profile does not ask leaves its test without a job.
    items[:] = [item for item in items if "job" not in item.fixturenames or job_of(item)]
    items.sort(key=lambda item: place[spec.comparison] if (spec := job_of(item)) else -1)


def job_of(item: pytest.Item) -> JobSpec | None:
    callspec = getattr(item, "callspec", None)
    job = callspec.params.get("job") if callspec else None
    return job if isinstance(job, JobSpec) else None


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """The run, its folder made and the input of all selected jobs prepared."""
    the_run = request.config.stash[RUN]
    selected = {spec.key.id: spec for item in request.session.items if (spec := job_of(item))}
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    say: Callable[[str], None] = reporter.write_line if reporter else print
    try:
        the_run.prepare(list(selected.values()), say)
        the_run.create()
    except UserError as error:
        pytest.exit(f"ftbench: {error}", returncode=2)
    return the_run


@pytest.fixture
def ready(run: Run, job: JobSpec) -> Ready:
    """The prepared job; a test of one that cannot run here is skipped with the reason."""
    outcome = run.prepared[job.key.id]
    if isinstance(outcome, Excluded):
        run.record(excluded_measurement(outcome, run.device))
        pytest.skip(f"{outcome.status}: {outcome.reason}")
    return outcome


@pytest.fixture
def measure(run: Run, ready: Ready) -> Callable[[], Measurement]:
    """Runs an equivalence, memory or accuracy job; a worker that gives no result fails the test."""

    def whole() -> Measurement:
        try:
            return run.run_whole(ready, ignore)
        except WorkerEnded as error:
            fail(error)

    return whole


def ignore(key: Any, event: Any) -> None:
    """pytest says which test runs; the events in between are not shown."""


def fail(error: WorkerEnded) -> Any:
    if error.status == "unsupported":
        pytest.skip(f"{error.status}: {error.reason}")
    tail = "\n".join(error.stderr_tail)
    pytest.fail(f"{error.status}: {error.reason}\n{tail}", pytrace=False)


class Racers:
    """The throughput jobs whose workers live now, and those that have ended early."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._races: defaultdict[str, str] = defaultdict(new_race)  # by comparison
        self._live: dict[str, SpeedJob] = {}
        self._ended: dict[str, WorkerEnded] = {}

    def get(self, ready: Ready) -> SpeedJob:
        """The job's worker, started and warmed up by the first test that asks for it."""
        name = ready.job.key.id
        if name in self._ended:
            fail(self._ended[name])
        if name not in self._live:
            attempt = Attempt(ready, self._run.folder, self._run.device, ignore)
            self._live[name] = SpeedJob(attempt, self._races[comparison(ready.job.key)])
            self.guarded(name, self._live[name].start)
        return self._live[name]

    def guarded(self, name: str, action: Callable[[], Any]) -> Any:
        """What a worker that ends meanwhile leaves behind is its outcome."""
        try:
            return action()
        except WorkerEnded as error:
            self._run.record(self._live.pop(name).attempt.ended(error))
            self._ended[name] = error
            fail(error)

    def finish(self, name: str) -> None:
        if name in self._live:
            measurement = self.guarded(name, self._live[name].finish)
            del self._live[name]
            self._run.record(measurement)

    def stop_all(self) -> None:
        """After a Ctrl-C: what still runs is recorded as interrupted."""
        for job in self._live.values():
            self._run.record(job.attempt.interrupted())
            job.attempt.worker.kill()
        self._live.clear()


@pytest.fixture(scope="session")
def racers(run: Run) -> Iterator[Racers]:
    racers = Racers(run)
    try:
        yield racers
    finally:
        racers.stop_all()


@pytest.fixture
def windows(
    request: pytest.FixtureRequest, racers: Racers, ready: Ready, job: JobSpec, round_: int
) -> Iterator[Callable[[Callable[[SpeedJob], Any]], Any]]:
    """Gives the job's turn of this round; after the job's last selected test it is finished."""
    speed = racers.get(ready)
    speed.begin_turn(round_)
    yield lambda action: racers.guarded(job.key.id, lambda: action(speed))
    last = [item for item in request.session.items if job_of(item) == job][-1]
    if last is request.node:
        racers.finish(job.key.id)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The comparison table and the path of the report, after pytest-benchmark's own table."""
    the_run = config.stash.get(RUN, None)
    measurements = the_run.measurements() if the_run else []
    if the_run is None or not measurements:
        return
    certificates = the_run.certify()
    paths = render([the_run.folder])
    terminalreporter.section("ftbench")
    terminalreporter.write_line(table(measurements, backend_titles(), certificates))
    for m in measurements:
        if m.status in FAILURES:
            terminalreporter.write_line(f"{m.job.id}: {m.status}: {m.reason}")
    terminalreporter.write_line(f"report: {paths.html}")
    terminalreporter.write_line(f"        {paths.markdown}")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    if RUN in config.stash:
        machine_info["ftbench_device"] = config.stash[RUN].device.model_dump()
