"""The role of a job says which loop trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.jobs.job import Job, StartFile
from benchmarks.harness.plan.sections import MemoryPlan, ThroughputPlan
from benchmarks.harness.worker import training
from frameworks.contract import SessionSpec, Start, Watch
from results.schema import JobKey, Role
from tests.frameworks.conftest import Eyes, make_spec, new_session


@pytest.fixture(scope="module")
def start(starts: dict[str, Start]) -> Start:
    return starts["bert"]


def job_of(spec: SessionSpec, backend: str, role: Role) -> Job:
    start = StartFile(**spec.start.__dict__)
    # What the passes need of a job beside these is not asked for here.
    return Job.model_construct(
        key=JobKey(id="x", backend=backend, task="imdb", question="memory", role=role),
        recipe=spec.recipe,
        start=start,
        train=Path("x"),
        evaluations={},
        environment={},
        time_limit_seconds=1,
        throughput=ThroughputPlan(),
        memory=MemoryPlan(),
        predictions=Path("x"),
    )


def telling(called: list[str], name: str, real: Callable[[Watch], None]) -> Callable[[Watch], None]:
    """The session's own loop, which records its name first."""

    def watched(watch: Watch) -> None:
        called.append(name)
        real(watch)

    return watched


@pytest.mark.parametrize("role", ["framework", "control", "repeat"])
def test_the_variant_says_which_loop_trains(
    backend: str, start: Start, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, called = make_spec(start, steps=3), []
    session, eyes = new_session(backend, spec), Eyes()
    for name in ("train", "train_bare"):
        monkeypatch.setattr(session, name, telling(called, name, getattr(session, name)))
    training.run(job_of(spec, backend, role), session, eyes)
    assert called == ["train_bare" if role == "control" else "train"]
    assert eyes.steps == [1, 2, 3]
