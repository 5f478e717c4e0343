"""Options and fixtures of `pytest benchmarks`. The jobs of the chosen profile become the parameters
of the tests; they run as they do under `ftbench run`."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from benchmarks.harness.cli.choices import plan_from_options
from benchmarks.harness.cli.options import add_options
from benchmarks.harness.cli.report import backend_titles, problems, render
from benchmarks.harness.cli.terminal.streams import keep_going_without_output
from benchmarks.harness.errors import UserError, check_decoded
from benchmarks.harness.jobs.attempt import Excluded, Ready, excluded_measurement
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.machine.paths import output_folder
from benchmarks.harness.plan.plan import JobSpec, work_of
from benchmarks.harness.run.environments import environments_to_come
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.participant import Participant, TrainingIsOver
from benchmarks.harness.run.race import Race
from benchmarks.harness.run.run import Run
from results.analysis.decision import race_is_decided
from results.report import table
from results.schema import Measurement, Phase

FOLDER = pytest.StashKey[RunFolder]()
EVALUATION = "evaluation"  # marks a test for jobs that evaluate: controls and repeats do not
# Set, to their names: all environments that one parent process calls share a run.
JOIN = "FTBENCH_JOIN"
Turn = Callable[[Phase], AbstractContextManager[Participant]]


def pytest_addoption(parser: pytest.Parser) -> None:
    try:
        add_options(parser.getgroup("ftbench").addoption)
    except ValueError as error:  # the only way in which pytest says so
        raise pytest.UsageError(
            f"ftbench: another pytest plugin uses one of ftbench's options ({error}): switch it "
            "off with -p no:NAME, or use `ftbench run`"
        ) from None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{EVALUATION}: only for jobs that evaluate too")
    # Not for `pytest .`, which has read its options already, nor for --help.
    if not hasattr(config.option, "compare_finders") or config.option.help:
        return
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError("ftbench: needs pytest-benchmark: leave out -p no:benchmark")
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError(
            "ftbench: -n: benchmarks that run at the same time disturb each other: leave -n out"
        )
    try:
        command = ["pytest", *map(str, config.invocation_params.args)]
        check_decoded(command)
        plan = plan_from_options(config.getoption, command)
        # The reporter is made after this, with the stream that it finds.
        keep_going_without_output()
        make = RunFolder.shared if os.environ.get(JOIN) else RunFolder.new
        config.stash[FOLDER] = make(output_folder("--results", config.getoption("results")), plan)
    except UserError as error:
        pytest.exit(f"ftbench: {error}", returncode=2)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`job` is every job of the module's question. With `launch` and `round_`, every job comes once
    in every round of every launch."""
    if "job" not in metafunc.fixturenames:
        return
    if FOLDER not in metafunc.config.stash:
        pytest.skip("ftbench: no folder is named: run `pytest benchmarks`", allow_module_level=True)
    plan = metafunc.config.stash[FOLDER].plan
    jobs = [spec for spec in plan.jobs if spec.key.question == metafunc.module.QUESTION]
    if metafunc.definition.get_closest_marker(EVALUATION):
        jobs = [spec for spec in jobs if spec.evaluates]
    names = {spec.key.id: spec.key.id.removeprefix(f"{spec.key.question}-") for spec in jobs}
    if "round_" not in metafunc.fixturenames:
        metafunc.parametrize("job", list(names), ids=list(names.values()), indirect=True)
        return
    launches, rounds = range(plan.throughput.most_launches), range(plan.throughput.rounds)
    turns = list(itertools.product(names, launches, rounds))
    ids = [f"{names[job]}-launch{launch + 1}-round{round_ + 1}" for job, launch, round_ in turns]
    metafunc.parametrize(("job", "launch", "round_"), turns, ids=ids, indirect=["job"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # A question that the profile does not ask leaves its test without a job.
    items[:] = [
        item for item in items if job_of(item) or "job" not in getattr(item, "fixturenames", ())
    ]
    races = [item for item in items if (job := job_of(item)) and job.key.question == "throughput"]
    later = environments_to_come(os.environ.get(JOIN, ""))
    if later and 0 < len(races) < len(items):
        # They race all backends, this environment's too, so a race here would only be replaced.
        items[:] = [item for item in items if item not in races]
        config.hook.pytest_deselected(items=races)
        print(
            f"ftbench: the environment {later[-1]} will measure the speed of all backends in one race"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Orders the selected tests, after every plugin that shuffles them: comparisons as in the plan,
    so that only the workers of one live at a time; in a race launch by launch, training before
    evaluation, and the participants in turns, round by round, in the reverse order every other
    time."""
    if FOLDER not in session.config.stash:
        return
    jobs = session.config.stash[FOLDER].plan.jobs
    comparisons = {spec.comparison: i for i, spec in reversed(list(enumerate(jobs)))}
    places = {spec.key.id: i for i, spec in enumerate(jobs)}

    def place(item: pytest.Item) -> tuple[int, ...]:
        job = job_of(item)
        if job is None:
            return (-1,)
        _, launch, evaluation, round_ = turn_of(item)
        turn = places[job.key.id] * (-1) ** (launch + round_)
        return comparisons[job.comparison], launch, evaluation, round_, turn

    session.items.sort(key=place)


def job_of(item: pytest.Item) -> JobSpec | None:
    """The job of a test. The parameter is its id, so that pytest-benchmark's files can hold it."""
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get("job") if callspec else None
    jobs = item.config.stash[FOLDER].plan.jobs if FOLDER in item.config.stash else []
    return next((spec for spec in jobs if spec.key.id == name), None)


def turn_of(item: pytest.Item) -> tuple[str | None, int, bool, int]:
    """A test's comparison, launch, phase (whether it evaluates) and round. Tests that share them are
    one round."""
    params, job = getattr(getattr(item, "callspec", None), "params", {}), job_of(item)
    evaluation = item.get_closest_marker(EVALUATION) is not None
    comparison = job.comparison if job else None
    return comparison, params.get("launch", 0), evaluation, params.get("round_", 0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """pytest-benchmark skips a test only after its fixtures were made, which here start workers."""
    option = item.config.option
    skipped = getattr(option, "benchmark_skip", False) and not option.benchmark_only
    if skipped and job_of(item) is not None:
        pytest.skip("--benchmark-skip")


@pytest.fixture
def job(request: pytest.FixtureRequest) -> JobSpec | None:
    return job_of(request.node)


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> RunFolder:
    """The run's folder."""
    return request.config.stash[FOLDER]


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest, folder: RunFolder) -> Iterator[Run]:
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    say = reporter.write_line if reporter else print
    with contextlib.closing(Run(folder, say, lambda key, event: None)) as run:
        yield run


@pytest.fixture(scope="session")
def prepared(
    request: pytest.FixtureRequest, run: Run, folder: RunFolder
) -> dict[str, Ready | Excluded]:
    """All selected jobs by id, their input read and checked, and the run's folder made."""
    selected = {spec.key.id: spec for item in request.session.items if (spec := job_of(item))}
    try:
        jobs = run.prepare(list(selected.values()))
        folder.create()
    except UserError as error:
        pytest.exit(f"ftbench: {error}", returncode=2)
    return jobs


@pytest.fixture
def ready(prepared: dict[str, Ready | Excluded], folder: RunFolder, job: JobSpec) -> Ready:
    """The prepared job. If it cannot run here, the test is skipped with the reason."""
    outcome = prepared[job.key.id]
    if isinstance(outcome, Excluded):
        folder.record(excluded_measurement(outcome, folder.device))
        pytest.skip(f"{outcome.status}: {outcome.reason}")
    return outcome


@pytest.fixture
def measure(run: Run, ready: Ready) -> Callable[[], Measurement]:
    """Runs the job and records its measurement, which the report is made from."""

    def measured() -> Measurement:
        with outcome_of_test():
            return run.measure(ready)

    return measured


@pytest.fixture(scope="session")
def races(request: pytest.FixtureRequest, folder: RunFolder) -> Iterator[defaultdict[str, Race]]:
    """The race of each comparison. Workers that nobody ended, as after `-x`, are ended here."""
    decided = race_is_decided if folder.plan.throughput.until == "decided" else None
    races: defaultdict[str, Race] = defaultdict(
        lambda: Race(folder, lambda key, event: None, decided)
    )
    yield races
    for race in races.values():
        if request.session.exitstatus == pytest.ExitCode.INTERRUPTED:
            race.stop()
        race.finish_all()


@pytest.fixture
def turn(
    request: pytest.FixtureRequest,
    races: defaultdict[str, Race],
    prepared: dict[str, Ready | Excluded],
    ready: Ready,
    job: JobSpec,
    launch: int,
    round_: int,
) -> Iterator[Turn]:
    """The job's turn in this round. After the last selected test of a round it is taken again if it
    was disturbed. After the last one of a race all measurements are recorded, however many windows
    were selected."""
    race, items, turn = races[job.comparison], request.session.items, turn_of(request.node)
    if race.is_over(launch):
        pytest.skip(f"the race ended after {launch} launches, as --until decided asks")

    phase: Phase = "evaluation" if turn[2] else "training"
    names = dict.fromkeys(i.callspec.params["job"] for i in items if turn_of(i)[:3] == turn[:3])
    race.participants.begin_all(
        [one for name in names if isinstance(one := prepared[name], Ready)], phase
    )

    @contextlib.contextmanager
    def take(phase: Phase) -> Iterator[Participant]:
        with outcome_of_test(), race.participants.turn(ready, round_, phase) as participant:
            yield participant

    yield take
    following = [turn_of(item) for item in items[items.index(request.node) + 1 :]]
    if turn not in following:
        race.participants.settle(round_, phase)
    if not any(comparison == job.comparison for comparison, *_ in following):
        with outcome_of_test():
            for error in race.finish_all():
                raise error


@contextlib.contextmanager
def outcome_of_test() -> Iterator[None]:
    """A worker that gives no result fails the test; what a backend does not support skips it."""
    try:
        yield
    except TrainingIsOver as error:
        pytest.skip(str(error))
    except WorkerEnded as error:
        if error.status == "unsupported":
            pytest.skip(f"{error.status}: {error.reason}")
        tail = "\n".join(error.stderr_tail)
        pytest.fail(f"{error.status}: {error.reason}\n{tail}", pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The comparison table and the path of the report, after pytest-benchmark's own table."""
    folder = config.stash.get(FOLDER, None)
    measurements = folder.measurements() if folder else []
    if folder is None or not measurements or config.option.collectonly:
        return
    certificates = folder.certificates()
    paths = render([folder.path])
    terminalreporter.section("ftbench")
    terminalreporter.write_line(table(measurements, backend_titles(), certificates))
    for line in problems(measurements, certificates):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"report: {paths.html}")
    terminalreporter.write_line(f"        {paths.markdown}")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    if FOLDER in config.stash:
        folder = config.stash[FOLDER]
        machine_info["ftbench_device"] = folder.device.model_dump()
        machine_info["ftbench_work"] = work_of(folder.plan)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(config: pytest.Config, compared_benchmark: Any) -> None:
    """Refuses a comparison of different work, before anything is measured."""
    saved = (compared_benchmark.get("machine_info") or {}).get("ftbench_work", {})
    for job, work in (work_of(config.stash[FOLDER].plan) if FOLDER in config.stash else {}).items():
        for name, value in work.items():
            if name in saved.get(job, {}) and saved[job][name] != value:
                pytest.exit(
                    f"ftbench: --benchmark-compare: the saved run measured {job} with {name} = "
                    f"{saved[job][name]!r}, this one uses {value!r}: compare runs of the same work",
                    returncode=2,
                )
