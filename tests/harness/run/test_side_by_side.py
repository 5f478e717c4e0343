"""Jobs without any timing run two at a time on a CPU, where the profile says so; trainings load in pairs."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.jobs.attempt import Ready
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.run import run as run_module
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.prepare import threads_of
from benchmarks.harness.run.run import Run
from results.schema import JobKey

PROFILE = """
description = "a test"
side_by_side = {}
backends = ["hf_torch", "hf_tf"]
questions = ["equivalence", "memory", "accuracy"]
checkpoint = "random:tiny-bert"
data = "embedded"
[equivalence]
accumulations = [1]
[tasks.imdb]
"""
JOBS = ["equivalence-hf_torch", "equivalence-hf_tf", "memory-hf_torch", "memory-hf_tf"]


class Worker:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def extend(self, seconds: float) -> None:
        self.log.append(f"extend {self.name} by {seconds:.0f} s")

    def kill(self) -> None:
        self.log.append(f"kill {self.name}")

    def go(self, steps: int | None = None) -> None:
        self.log.append(f"go {self.name}")


def ready_job(key: JobKey) -> Ready:
    """A job of which only the key is needed."""
    ready = Ready.__new__(Ready)
    job = SimpleNamespace(key=key, limit=None, checkpoints=None)
    object.__setattr__(ready, "job", job)
    return ready


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run with made-up workers: the list tells when each starts and when its turn comes."""
    log: list[str] = []

    class Attempt:
        def __init__(self, ready: Ready, *_: object) -> None:
            self.ready = ready
            key = ready.job.key
            self.name = f"{key.question}-{key.backend}"
            self.worker = Worker(log, self.name)
            log.append(f"start {self.name}")

        def load(self) -> None:
            if f"load {self.name}" not in log:
                log.append(f"load {self.name}")

        def __enter__(self) -> Attempt:
            return self

        def __exit__(self, *_: object) -> None: ...

    def measure(attempt: Attempt) -> str:
        log.append(f"measure {attempt.name}")
        return attempt.name

    def make(side_by_side: bool = True, kind: str = "cpu") -> tuple[Run, list[Ready], list[str]]:
        file = tmp_path / "mine.toml"
        file.write_text(PROFILE.format(str(side_by_side).lower()))
        plan = make_plan(Choice(), load_profile(str(file)), ["imdb"], "")
        folder = RunFolder.new(tmp_path, plan)
        folder.device = folder.device.model_copy(update={"kind": kind})
        run = Run(folder, print, lambda key, event: None)
        jobs = [ready_job(spec.key) for spec in plan.jobs]
        monkeypatch.setattr(folder, "record", lambda measurement: None)
        monkeypatch.setattr(run_module, "Inputs", lambda *_: None)
        monkeypatch.setattr(
            run_module, "prepare", lambda *_: {ready.job.key.id: ready for ready in jobs}
        )
        run.prepare(plan.jobs)
        return run, jobs, log

    monkeypatch.setattr(run_module, "Attempt", Attempt)
    monkeypatch.setattr(
        run_module, "SINGLE_JOBS", dict.fromkeys(("equivalence", "memory", "accuracy"), measure)
    )
    monkeypatch.setattr(run_module.os, "sched_getaffinity", lambda pid: {0, 1})
    return make


def test_the_next_job_of_the_same_question_runs_beside(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time until its turn comes does not count against its time limit."""
    run, jobs, log = make_run()
    clock = itertools.count(0, 700)
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    assert [run.measure(ready) for ready in jobs[:4]] == JOBS
    assert log == [
        step
        for first, second in (JOBS[:2], JOBS[2:])
        for step in (
            f"start {first}",
            f"start {second}",
            f"measure {first}",
            f"extend {second} by 700 s",
            f"measure {second}",
        )
    ]


def test_trainings_are_timed_alone_and_import_their_frameworks_in_pairs(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module.time, "monotonic", lambda: 0)
    run, jobs, log = make_run()
    for ready in jobs[4:]:
        run.measure(ready)
    first, second = "accuracy-hf_torch", "accuracy-hf_tf"
    assert log == [
        f"start {first}",
        f"start {second}",
        f"load {first}",
        f"load {second}",
        f"go {first}",
        f"measure {first}",
        f"extend {second} by 0 s",
        f"go {second}",
        f"measure {second}",
    ]


def test_a_framework_that_fails_beside_another_training_is_started_again(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, jobs, log = make_run()
    load = run_module.Attempt.load

    def fails_once(attempt: Any) -> None:
        if attempt.name == "accuracy-hf_tf" and log.count("start accuracy-hf_tf") == 1:
            raise WorkerEnded("failed", "no framework", [])
        load(attempt)

    monkeypatch.setattr(run_module.Attempt, "load", fails_once)
    for ready in jobs[4:]:
        run.measure(ready)
    assert log[-4:] == [f"{step} accuracy-hf_tf" for step in ("start", "load", "go", "measure")]
    assert log.count("kill accuracy-hf_tf") == 1


@pytest.mark.parametrize("unless", [{"side_by_side": False}, {"kind": "gpu"}])
def test_one_at_a_time_elsewhere(make_run: Any, unless: dict[str, Any]) -> None:
    run, jobs, log = make_run(**unless)
    for ready in jobs:
        run.measure(ready)
    steps = [line.split()[0] for line in log if not line.startswith(("load", "go"))]
    assert steps == ["start", "measure"] * len(jobs)


def test_a_job_whose_turn_does_not_come_leaves_no_worker(make_run: Any) -> None:
    run, jobs, log = make_run()
    run.measure(jobs[0])
    run.close()
    assert log[-1] == "kill equivalence-hf_tf"
    run.measure(jobs[2])
    run.measure(jobs[1])  # in another order than expected
    assert log[-3:] == ["kill memory-hf_tf", "start equivalence-hf_tf", "measure equivalence-hf_tf"]


def test_traces_share_the_threads_and_what_depends_on_their_number_has_all(make_run: Any) -> None:
    run, jobs, _ = make_run()
    for plan, halves in ((run.folder.plan, True), (alone(run.folder.plan), False)):
        plan = plan.model_copy(update={"threads": 8})
        asked = {r.job.key.question: threads_of(plan, r.job.key, run.folder.device) for r in jobs}
        assert asked == {"equivalence": 4 if halves else 8, "memory": 8, "accuracy": 8}
    single = run.folder.plan.model_copy(update={"threads": 1})
    assert threads_of(single, jobs[0].job.key, run.folder.device) == 1


def alone(plan: Plan) -> Plan:
    return plan.model_copy(update={"side_by_side": False})
