"""The GPU profiles fit into their GPUs, by prediction: the participants of every race together with
their CUDA contexts, and every memory job alone. `h100-smoke` asks for no more than `h100`."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.harness.machine import gpu_types
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, JobSpec
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.predict.footprint import Footprint
from benchmarks.harness.predict.workload import (
    Workload,
    memory_recipe,
    prepared_starts,
    trace_workloads,
)
from benchmarks.harness.run.companions import Claim, too_large
from frameworks.contract import backends
from tests.frameworks.conftest import needed

LABELS = ("negative", "neutral", "positive")
GPUS = {"t4": "T4", "a100": "A100-80", "h100": "H100"}


def workload(spec: JobSpec) -> Workload:
    """All profiles train bert-base's shape; the batch does not belong to what is traced, and other
    precisions need no more than fp32."""
    fields = spec.recipe.model_dump() | {"precision": "fp32", "dropout": None}
    return Workload(spec.key.backend, "random:bert-base", "gpu", "training", memory_recipe(fields))


def heaviest(name: str) -> list[JobSpec]:
    """The jobs of speed and memory at the profile's greatest length."""
    plan = make_plan(Choice(profile=name), load_profile(name), ["imdb", "mnli"], "")
    jobs = [s for s in plan.jobs if s.key.question in ("throughput", "memory")]
    longest = max(spec.recipe.length for spec in jobs)
    return [spec for spec in jobs if spec.recipe.length == longest and spec.key.task == "imdb"]


def bounds(specs: list[JobSpec]) -> tuple[int, int, int]:
    """The greatest length and batch, and the number of participants of a race."""
    races = Counter(spec.comparison for spec in specs if spec.key.question == "throughput")
    recipes = [spec.recipe for spec in specs]
    return (
        max(recipe.length for recipe in recipes),
        max(recipe.batch_size for recipe in recipes),
        max(races.values()),
    )


def test_gpu_profiles_fit_into_their_gpus() -> None:
    for name in ("hf_torch", "hf_tf", "keras_rnn"):
        needed(name)
    profiles = {name: heaviest(name) for name in GPUS}
    of_smoke, of_h100 = (bounds(heaviest(name)) for name in ("h100-smoke", "h100"))
    assert all(small <= large for small, large in zip(of_smoke, of_h100, strict=True))
    wanted = {workload(spec) for specs in profiles.values() for spec in specs}
    with prepared_starts(["random:bert-base"], LABELS) as starts:
        footprints = trace_workloads(list(wanted), starts)
    for name, specs in profiles.items():
        gpu = gpu_types.gpu_type(GPUS[name])
        assert gpu.usable_bytes is not None
        races: dict[str, list[Claim]] = {}
        for spec in specs:
            footprint = footprints[workload(spec)]
            assert isinstance(footprint, Footprint)
            peak = footprint.on(gpu.compute_capability).peak(spec.recipe.batch_size).bytes
            if spec.key.question == "memory":
                room = gpu_types.room(GPUS[name], backends()[spec.key.backend].memory)
                assert peak < room.bytes, spec.key.id
                continue
            claim = Claim(spec.key, peak + gpu_types.context_bytes(GPUS[name]))
            races.setdefault(spec.comparison, []).append(claim)
        for race, claims in races.items():
            assert len(claims) == 4, race
            assert too_large(claims, gpu.usable_bytes, GPUS[name]) is None, (name, claims)


@pytest.mark.once
def test_the_smoke_run_is_small() -> None:
    """Each of its workers takes 15 to 40 seconds; a limit takes three to six."""
    profile = load_profile("h100-smoke")
    plan = make_plan(Choice(profile="h100-smoke"), profile, ["imdb"], "")
    workers = sum(4 if spec.budget else 1 for spec in plan.jobs)
    assert {spec.key.question for spec in plan.jobs} == {
        "equivalence",
        "throughput",
        "memory",
        "batch_limit",
    }
    assert workers <= 25 and profile.throughput.launches == 1
