"""A session that trains in another precision than its recipe says is stopped at the first step."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.harness import training
from benchmarks.harness.jobs import Job, StartFile
from benchmarks.harness.profiles import MemoryPlan, ThroughputPlan
from frameworks.contract import Start, Watch, Work
from results.schema import JobKey, Variant
from tests.frameworks.conftest import Eyes, make_work, new_session

OVERRIDES = {"hf_tf": "mixed_bfloat16", "keras_rnn": "mixed_bfloat16"}


@pytest.fixture(scope="module")
def start(starts: dict[str, Start]) -> Start:
    return starts["bert"]


def job_of(work: Work, backend: str, variant: Variant) -> Job:
    start = StartFile(**work.start.__dict__)
    # What the passes need of a job beside these is not asked for here.
    return Job.model_construct(
        key=JobKey(id="x", backend=backend, task="imdb", question="memory", variant=variant),
        recipe=work.recipe, start=start, train=Path("x"), evaluations={}, environment={},
        time_limit_seconds=1, throughput=ThroughputPlan(), memory=MemoryPlan(),
        predictions=Path("x"))


@pytest.fixture
def overridden(backend: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another switch, of the framework's own, that wins over the recipe's fp32."""
    precision = importlib.import_module(f"frameworks.{backend}.precision")
    if backend == "hf_torch":
        import torch

        torch.set_autocast_enabled("cpu", True)
    else:
        monkeypatch.setitem(precision.POLICIES, "fp32", OVERRIDES[backend])
    yield
    if backend == "hf_torch":
        torch.set_autocast_enabled("cpu", False)


@pytest.mark.parametrize("variant", ["framework", "bare"])
def test_an_overridden_precision_is_an_error_after_the_first_step(
    backend: str, start: Start, overridden: None, variant: Variant
) -> None:
    work = make_work(start, steps=5, record=False)
    session, eyes = new_session(backend, work), Eyes()
    with pytest.raises(training.PrecisionOverridden, match="'fp32'.*'bf16'"):
        training.run(job_of(work, backend, variant), session, eyes)
    assert eyes.begun == 1 and eyes.steps == []


def telling(called: list[str], name: str, real: Callable[[Watch], None]) -> Callable[[Watch], None]:
    """The session's own loop, which says its name first."""
    def told(watch: Watch) -> None:
        called.append(name)
        real(watch)
    return told


@pytest.mark.parametrize("variant", ["framework", "bare", "again"])
def test_the_variant_says_which_loop_trains(
    backend: str, start: Start, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, called = make_work(start, steps=3), []
    session, eyes = new_session(backend, work), Eyes()
    for name in ("train", "train_bare"):
        monkeypatch.setattr(session, name, telling(called, name, getattr(session, name)))
    training.run(job_of(work, backend, variant), session, eyes)
    assert called == ["train_bare" if variant == "bare" else "train"]
    assert eyes.steps == [1, 2, 3]
