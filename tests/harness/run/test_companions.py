"""The participants of a race fit into the GPU together, or nothing of the race runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.jobs.attempt import Excluded, Ready
from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.run import companions
from benchmarks.harness.run.companions import Claim, exclude_crowded, too_large
from frameworks.contract import Recipe
from results.schema import Device, JobKey, Role
from tests.harness.limits import fakes

pytestmark = pytest.mark.once

GIB = 2**30
T4 = Device(kind="gpu", name="Tesla T4", memory_bytes=15 * GIB, cores=2, compute_capability="7.5")


def key(backend: str, role: Role = "framework", task: str = "imdb") -> JobKey:
    return JobKey(
        id=f"throughput-{task}-{backend}" + ("" if role == "framework" else f"-{role}"),
        backend=backend,
        task=task,
        question="throughput",
        role=role,
    )


def race(*keys: JobKey) -> tuple[list[JobSpec], dict[str, Ready | Excluded]]:
    specs, jobs = [], {}
    for one in keys:
        specs.append(JobSpec(key=one, recipe=Recipe()))
        ready = fakes.ready("1GiB")
        job = ready.job.model_copy(update={"key": one, "limit": None})
        jobs[one.id] = Ready(job, ready.data, ready.checkpoint, ready.where)
    return specs, jobs


def claim(monkeypatch: pytest.MonkeyPatch, free: float, **gib: float) -> None:
    """Predictions by backend, and the free memory."""

    def claims(jobs: list[Ready], device: Device) -> dict[str, Claim]:
        return {r.job.key.id: Claim(r.job.key, int(gib[r.job.key.backend] * GIB)) for r in jobs}

    monkeypatch.setattr(companions, "predicted_claims", claims)
    monkeypatch.setattr(companions.nvml, "free_bytes", lambda: int(free * GIB))


def test_a_race_that_does_not_fit_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim(monkeypatch, 14.4, hf_torch=6.2, hf_tf=14.4)
    crowded = key("hf_torch"), key("hf_tf"), key("hf_torch", "repeat")
    alone = key("hf_tf", task="mnli")  # too large as well, and its own affair
    specs, jobs = race(*crowded, alone)
    excluded = exclude_crowded(specs, jobs, T4)
    assert set(excluded) == {one.id for one in crowded}
    (reason,) = {one.reason for one in excluded.values()}
    assert "need 26.8 GiB at once (hf_torch 6.2, hf_tf 14.4, hf_torch (repeat) 6.2)" in reason
    assert "Tesla T4 has 14.4 GiB free" in reason and "batch_size" in reason
    assert {one.status for one in excluded.values()} == {"refused"}


def test_a_race_that_fits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch, 21, hf_torch=6.2, hf_tf=14.4)
    assert exclude_crowded(*race(key("hf_torch"), key("hf_tf")), T4) == {}


def test_on_a_cpu_nothing_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch, 0, hf_torch=1, hf_tf=1)
    assert exclude_crowded(*race(key("hf_torch"), key("hf_tf")), fakes.CPU) == {}


def test_a_gpu_for_one_process_has_no_race(monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch, 99, hf_torch=1, hf_tf=1)
    exclusive = T4.model_copy(update={"one_process": True})
    excluded = exclude_crowded(*race(key("hf_torch"), key("hf_tf")), exclusive)
    assert len(excluded) == 2
    assert all("compute mode" in one.reason for one in excluded.values())
    assert exclude_crowded(*race(key("hf_torch")), exclusive) == {}


def test_a_step_is_traced_once_for_all_that_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its claim is its peak with the CUDA context."""
    traced: list[int] = []

    class Footprint:
        def on(self, compute_capability: str | None) -> Footprint:
            return self

        def peak(self, batch: int) -> Footprint:
            self.bytes = batch * GIB
            return self

    def footprints(backend: str, asks: list[object], python: Path) -> list[Footprint]:
        traced.append(len(asks))
        return [Footprint() for _ in asks]

    monkeypatch.setattr(companions, "footprints", footprints)
    _, jobs = race(key("hf_torch"), key("hf_torch", "repeat"), key("hf_tf"))
    ready = [one for one in jobs.values() if isinstance(one, Ready)]
    claims = companions.predicted_claims(ready, T4)
    context = companions.gpu_types.context_bytes(None)
    assert {one.bytes for one in claims.values()} == {Recipe().batch_size * GIB + context}
    assert traced == [1, 1]


def test_what_fits_exactly_fits() -> None:
    claims = [Claim(key("hf_torch"), GIB), Claim(key("hf_tf"), GIB)]
    assert too_large(claims, 2 * GIB, "a GPU") is None
    assert too_large(claims, 2 * GIB - 1, "a GPU") is not None
