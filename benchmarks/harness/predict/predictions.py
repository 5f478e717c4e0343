"""`ftbench predict`: the predicted peak with its parts, and the predicted limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.environment import thread_count
from benchmarks.harness.jobs.job import Job
from benchmarks.harness.jobs.trace_request import Ask
from benchmarks.harness.machine import gpu_types, packages
from benchmarks.harness.predict import largest_batch
from benchmarks.harness.predict.allocators.blocks import OutOfMemory
from benchmarks.harness.predict.buffers import TRACED
from benchmarks.harness.predict.calibration import Calibration, calibrations
from benchmarks.harness.predict.footprint import Footprint
from benchmarks.harness.predict.tracing import Refusal, footprints
from benchmarks.harness.predict.workload import (
    Target,
    Workload,
    lacks,
    memory_recipe,
    prepared_starts,
    targets,
    trace_workloads,
    unsupported_settings,
)
from frameworks.contract import Start, backends
from results import schema
from results.schema import PredictedLimit, Prediction


def predict(
    works: Sequence[Workload],
    label_names: Sequence[str],
    gpu_names: Sequence[str],
    sizes: Sequence[str],
    skip: Callable[[str], None] | None = None,
) -> list[Prediction]:
    """One prediction per workload, in order; every backend is traced in one process. `skip` is
    called with the reason for what a backend does not support or cannot trace.

    Errors: UserError for it without `skip`, or where every workload is skipped."""
    wanted = {work: targets(work, gpu_names, sizes) for work in works}
    refusals: list[str] = []

    def refuse(why: str) -> None:
        refusals.append(why)
        if skip is None:
            raise UserError(why)

    with prepared_starts({work.checkpoint for work in works}, label_names) as starts:
        able = []
        for work in works:
            if found := unsupported_settings(work, starts[work.checkpoint]):
                refuse(
                    f"skipped on a {work.device.upper()}: {'; '.join(found)}" if skip else found[0]
                )
            else:
                able.append(work)
        predicted = []
        for work, footprint in trace_workloads(able, starts).items():
            if isinstance(footprint, Refusal):
                refuse(footprint.reason)
            else:
                predicted.append(
                    _prediction(work, footprint, wanted[work], gpu_names, starts[work.checkpoint])
                )
    if not predicted:
        raise UserError(f"nothing can be predicted: {'; '.join(dict.fromkeys(refusals))}")
    for why in refusals:
        if skip:
            skip(why)
    return predicted


def expectation(device: schema.Device, python: Path) -> Callable[[Job, int], schema.Expected]:
    """For the search that proves a limit: where a job's limit within a budget should be. A workload
    is traced once for all budgets, by that Python, within the time that the job gives a worker.

    The function raises UserError where the backend's step cannot be traced."""

    def expect(job: Job, budget_bytes: int) -> schema.Expected:
        assert job.limit is not None
        began = time.monotonic()
        ask = Ask(
            recipe=memory_recipe(job.recipe.model_dump()),
            start=job.start,
            device=device.kind,
            phase=job.limit.phase,
            batch_sizes=TRACED,
        )
        threads = thread_count(job.key.backend, job.environment)
        found = _kept_footprint(job.key.backend, ask, python, job.time_limit_seconds, threads)
        if isinstance(found, Refusal):
            raise UserError(found.reason)
        limit = largest_batch.limit(found.on(device.compute_capability), budget_bytes)
        seconds = time.monotonic() - began
        return schema.Expected(limit=limit, source="predicted", seconds=seconds)

    return expect


@cache
def _kept_footprint(
    backend: str, ask: Ask, python: Path, seconds: float, threads: int | None
) -> Footprint | Refusal:
    return footprints(backend, [ask], python, seconds, threads)[0]


def _prediction(
    work: Workload,
    footprint: Footprint,
    wanted: Sequence[Target],
    gpu_names: Sequence[str],
    start: Start,
) -> Prediction:
    """Errors: UserError where the batch needs more than this machine's address space."""
    capabilities = {target.compute_capability for target in wanted}
    footprint = footprint.on(capabilities.pop() if len(capabilities) == 1 else None)
    size = work.recipe.batch_size
    try:
        peak = footprint.peak(size)
    except OutOfMemory:
        raise UserError(
            f"batch_size {size}: {backends()[work.backend].title} on a CPU would need more than "
            "this machine's address space; choose a smaller one"
        ) from None
    backend, calibration = backends()[work.backend], calibrations()[work.backend][work.device]
    error = calibration.error
    return Prediction(
        backend=work.backend,
        phase=work.phase,
        device=work.device,
        checkpoint=work.checkpoint,
        tokenizer_only=not backend.pretrained,
        architecture=backend.architecture or start.architecture,
        recipe=work.recipe.model_dump(),
        parts=peak.parts,
        peak_bytes=peak.bytes,
        peak_low_bytes=round(peak.bytes * (1 - error)),
        peak_high_bytes=round(peak.bytes * (1 + error)),
        assumed=work.recipe.precision in calibration.assumed,
        limits=[predicted_limit(footprint, target, calibration) for target in wanted],
        left_out={}
        if work.device == "cpu"
        else {
            name: why for name in gpu_names if (why := lacks(gpu_types.gpu_type(name), work.recipe))
        },
        versions=packages.versions(),
    )


def predicted_limit(
    footprint: Footprint, target: Target, calibration: Calibration
) -> PredictedLimit:
    """The expected limit and the range around it. Its lower end is a promise: it fits even if the
    peak is underestimated by the full error and everything is allocated late that may be. It is
    found with a larger batch, not with a smaller budget, because how an allocator divides a budget
    into regions depends on its exact size."""
    footprint = footprint.on(target.compute_capability)
    budget, error = target.budget_bytes, calibration.error
    limit, worst = largest_batch.limit(footprint, budget), footprint.at_worst()
    margins = (0.0, largest_batch.share_of_examples(footprint, error, budget))
    return PredictedLimit(
        target=target.label,
        budget_bytes=budget,
        limit=limit,
        low=min(limit, *(largest_batch.limit(worst, budget, margin) for margin in margins)),
        high=max(limit, largest_batch.largest(footprint, budget / (1 - error))),
        note=target.note,
    )
