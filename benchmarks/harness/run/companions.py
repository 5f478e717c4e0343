"""Whether the participants of a race can be on one GPU at the same time, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.jobs.attempt import Excluded, Ready
from benchmarks.harness.jobs.trace_request import Ask
from benchmarks.harness.machine import gpu_types, nvml
from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.predict.buffers import TRACED
from benchmarks.harness.predict.tracing import Refusal, footprints
from benchmarks.harness.predict.workload import memory_recipe
from results.schema import Device, JobKey

GIB = 2**30


@dataclass(frozen=True)
class Claim:
    """What a participant holds of the GPU: its predicted peak and its CUDA context."""

    job: JobKey
    bytes: int

    def __str__(self) -> str:
        role = "" if self.job.role == "framework" else f" ({self.job.role})"
        return f"{self.job.backend}{role} {self.bytes / GIB:.1f}"


def exclude_crowded(
    specs: Sequence[JobSpec], jobs: Mapping[str, Ready | Excluded], device: Device
) -> dict[str, Excluded]:
    """The throughput jobs whose races do not fit into the GPU, by id, each with the reason. A
    backend that cannot be predicted counts with its context alone."""
    if device.kind == "cpu":
        return {}
    races: dict[str, dict[str, tuple[JobSpec, Ready]]] = {}
    for spec in specs:
        ready = jobs[spec.key.id]
        if spec.key.question == "throughput" and isinstance(ready, Ready):
            races.setdefault(spec.comparison, {})[spec.key.id] = (spec, ready)
    crowded = {name: race for name, race in races.items() if len(race) > 1}
    if not crowded:
        return {}
    if device.one_process:
        reasons = dict.fromkeys(crowded, one_process(device))
    else:
        everyone = [ready for race in crowded.values() for _, ready in race.values()]
        claims, free = predicted_claims(everyone, device), nvml.free_bytes()
        reasons = {
            name: reason
            for name, race in crowded.items()
            if (reason := too_large([claims[id_] for id_ in race], free, device.name))
        }
    return {
        id_: Excluded(spec, "refused", reason)
        for name, reason in reasons.items()
        for id_, (spec, _) in crowded[name].items()
    }


def one_process(device: Device) -> str:
    return (
        f"{device.name} is in a compute mode that admits one process, and a race needs one for each "
        "participant: set the mode with `nvidia-smi --compute-mode=0`, or ask the cluster for it"
    )


def too_large(claims: Sequence[Claim], free_bytes: int, name: str) -> str | None:
    """Why the participants do not fit, in one line; None if they do."""
    total = sum(claim.bytes for claim in claims)
    if total <= free_bytes:
        return None
    return (
        f"the participants of this race need {total / GIB:.1f} GiB at once "
        f"({', '.join(map(str, claims))}), and {name} has {free_bytes / GIB:.1f} GiB free: choose a "
        "smaller batch_size or length, fewer backends, or a profile without control and noise_pair"
    )


def predicted_claims(jobs: Sequence[Ready], device: Device) -> dict[str, Claim]:
    """What each job holds, by its id. The steps of a backend are traced in one process.

    Errors: UserError where that process fails."""
    context = gpu_types.context_bytes(device.gpu_type)
    found: dict[str, Claim] = {}
    groups: dict[tuple[str, Path], list[Ready]] = {}
    for ready in jobs:
        groups.setdefault((ready.job.key.backend, ready.where.python), []).append(ready)
    for (backend, python), group in groups.items():
        asks = {ready.job.key.id: request(ready) for ready in group}
        different = list({ask.model_dump_json(): ask for ask in asks.values()}.values())
        traced = dict(
            zip(
                [ask.model_dump_json() for ask in different],
                footprints(backend, different, python),
                strict=True,
            )
        )
        for ready in group:
            key, footprint = ready.job.key, traced[asks[ready.job.key.id].model_dump_json()]
            peak = 0
            if not isinstance(footprint, Refusal):
                peak = (
                    footprint.on(device.compute_capability).peak(ready.job.recipe.batch_size).bytes
                )
            found[key.id] = Claim(key, peak + context)
    return found


def request(ready: Ready) -> Ask:
    return Ask(
        recipe=memory_recipe(ready.job.recipe.model_dump()),
        start=ready.job.start,
        device="gpu",
        phase="training",
        batch_sizes=TRACED,
    )
