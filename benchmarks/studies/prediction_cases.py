"""Cases in which a prediction can be compared with a figure: every probe that trained and every limit
of some runs, and the published figures of results/reference.toml."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from packaging.requirements import Requirement

from benchmarks.harness.machine import gpu_types, packages
from benchmarks.harness.plan.batch_sizes import grid
from benchmarks.harness.predict.allocators.blocks import OutOfMemory
from benchmarks.harness.predict.calibration import calibrations
from benchmarks.harness.predict.footprint import Footprint
from benchmarks.harness.predict.largest_batch import LARGEST_BATCH
from benchmarks.harness.predict.predictions import predicted_limit
from benchmarks.harness.predict.tracing import Refusal
from benchmarks.harness.predict.workload import (
    FIELDS,
    Target,
    Workload,
    memory_recipe,
    prepared_starts,
    trace_workloads,
    unsupported_settings,
)
from frameworks.contract import Recipe, backends
from results.analysis.limits import setting
from results.analysis.reference import PublishedMemory, published_memory
from results.schema import BatchLimit, Measurement, PredictedLimit, PredictionCase

LABELS = ["0", "1", "2"]  # their number makes no visible difference
Say = Callable[[str], None]


def cases(measurements: Sequence[Measurement], say: Say) -> list[PredictionCase]:
    """One case per work and batch size, or budget, that the measurements have a probe, or a limit,
    of; then the published ones."""
    measured = [
        (m, m.batch_limit, workload_of(m)) for m in measurements if m.batch_limit and m.checkpoint
    ]
    rows = [(row, workload_of_published(row)) for row in published_memory()]
    traced = footprints([*(work for *_, work in measured), *(work for _, work in rows)], say)
    for line in dict.fromkeys(
        filter(None, (other_versions(m) for m, _, work in measured if work in traced))
    ):
        say(line)
    found: dict[tuple[Workload, str, int], PredictionCase] = {}
    for m, limit, work in measured:
        if work in traced:
            for case in _measured(m, limit, work, traced[work], say):
                # Tasks differ in their label count only, and a budget moves a peak by little.
                size = case.batch_size or limit.budget_bytes
                found.setdefault((_shape(work), case.unit, size), case)
    return [
        *found.values(),
        *(
            case
            for row, work in rows
            if work in traced
            for case in _published(row, work, traced[work])
        ),
    ]


def workload_of(m: Measurement) -> Workload:
    """The workload of a limit's measurement."""
    assert m.batch_limit is not None and m.checkpoint is not None
    return Workload(
        m.job.backend,
        m.checkpoint.name,
        m.device.kind,
        m.batch_limit.phase,
        memory_recipe(m.recipe),
    )


def workload_of_published(row: PublishedMemory) -> Workload:
    recipe = Recipe.model_validate(
        {"length": row.length, "precision": row.precision, "attention": row.attention}
    )
    return Workload(row.backend, row.checkpoint, "gpu", row.phase, recipe, row.published_step)


def _shape(work: Workload) -> Workload:
    """Random weights need as much memory as the checkpoint of the same name."""
    return replace(work, checkpoint=work.checkpoint.removeprefix("random:"))


def case_name(work: Workload) -> str:
    """The name of a case in calibration.toml, without the batch size."""
    recipe = work.recipe
    unusual = [
        f" {name}={getattr(recipe, name)}"
        for name in FIELDS
        if name not in ("length", "precision")
        and getattr(recipe, name) != Recipe.model_fields[name].default
    ]
    return f"{_shape(work).checkpoint} {recipe.length} {recipe.precision} {work.phase}" + "".join(
        unusual
    )


def versions_of(backend: str) -> dict[str, str]:
    """The installed versions of the backend's packages."""
    here = packages.versions()
    names = [Requirement(text).name for text in backends()[backend].requirements]
    return {name: here[name] for name in names if name in here}


def other_versions(m: Measurement) -> str | None:
    """One line about packages that are installed here in another version than was measured."""
    other = [
        f"{name} {version}, but was measured with {m.versions[name]}"
        for name, version in versions_of(m.job.backend).items()
        if m.versions.get(name, version) != version
    ]
    return f"{m.job.backend} is traced with {'; '.join(other)}" if other else None


def footprints(workloads: Sequence[Workload], say: Say) -> dict[Workload, Footprint]:
    """The footprints of workloads that can be traced here; `say` gets the reasons for the others."""
    found, missing = {}, not_installed()
    for backend, why in missing.items():
        if any(work.backend == backend for work in workloads):
            say(f"{backend} skipped: {why}")
    with prepared_starts({work.checkpoint for work in workloads}, LABELS, say) as starts:
        able = []
        for work in dict.fromkeys(workloads):
            if work.backend in missing or work.checkpoint not in starts:
                continue
            if why := "; ".join(unsupported_settings(work, starts[work.checkpoint])):
                say(f"skipped: {case_name(work)} of {work.backend}: {why}")
            else:
                able.append(work)
        for work, footprint in trace_workloads(able, starts).items():
            if isinstance(footprint, Refusal):
                say(f"skipped: {footprint.reason}")
            else:
                found[work] = footprint
    return found


def not_installed() -> dict[str, str]:
    """The backends that cannot be traced here, and why."""
    return {name: why for name in backends() if (why := packages.missing_packages(name))}


def _about(work: Workload) -> dict[str, Any]:
    return {
        "backend": work.backend,
        "device": work.device,
        "checkpoint": work.checkpoint,
        "length": work.recipe.length,
        "precision": work.recipe.precision,
        "phase": work.phase,
        "versions": versions_of(work.backend),
        "setting": ", ".join(
            filter(None, (work.published_step, setting(work.phase, work.recipe.model_dump())))
        ),
    }


def _measured(
    m: Measurement, limit: BatchLimit, work: Workload, footprint: Footprint, say: Say
) -> Iterator[PredictionCase]:
    calibration = calibrations()[work.backend][work.device]
    footprint = footprint.on(m.device.compute_capability)
    about = _about(work) | {
        "architecture": m.checkpoint.architecture if m.checkpoint else "",
        "source": "measured",
    }

    def fitted(batch: int | None) -> bool:
        return f"{case_name(work)} {batch}" in calibration.cases

    for probe in limit.probes:
        if probe.outcome == "ok" and probe.peak_bytes:
            try:
                predicted = footprint.in_use(probe.batch_size, limit.budget_bytes)
            except OutOfMemory:
                say(
                    f"skipped: {case_name(work)} {probe.batch_size} of {work.backend}: more than "
                    "this machine's address space"
                )
                continue
            yield _peak_case(
                about, probe.batch_size, predicted, calibration.error, probe.peak_bytes
            ).model_copy(update={"fitted": fitted(probe.batch_size)})
    if limit.limit is not None:
        target = Target(
            limit.budget, limit.budget_bytes, compute_capability=m.device.compute_capability
        )
        expected = predicted_limit(footprint, target, calibration)
        case = _limit_case(about, expected, limit.limit, limit.fails_at, limit.highest)
        seen = f"{_shape(work).checkpoint} {limit.budget}" in calibration.limit_cases
        yield case.model_copy(
            update={"fitted": seen or fitted(limit.limit) or fitted(limit.fails_at)}
        )


def _published(
    row: PublishedMemory, work: Workload, footprint: Footprint
) -> Iterator[PredictionCase]:
    capability = gpu_types.gpu_type(row.gpu).compute_capability if row.gpu else None
    footprint, calibration = footprint.on(capability), calibrations()[row.backend][work.device]
    about = _about(work) | {
        "architecture": row.checkpoint,
        "source": row.source,
        "conditions": row.conditions,
    }
    budget = row.budget_bytes or (gpu_budget(row) if row.gpu else 0)
    over = row.over_batch_size
    for batch, peak in row.peaks.items():
        if over is None:
            yield _peak_case(about, batch, footprint.in_use(batch, budget), calibration.error, peak)
        elif batch != over:
            predicted = footprint.peak(batch).bytes - footprint.peak(over).bytes
            case = _peak_case(about, batch, predicted, calibration.error, peak - row.peaks[over])
            yield case.model_copy(update={"over_batch_size": over})
    if row.fits is not None:
        label = row.gpu or f"{budget / 2**30:.0f}GiB"
        target = Target(label, budget, compute_capability=capability)
        expected = predicted_limit(footprint, target, calibration)
        yield _limit_case(about, expected, row.fits, row.fails)


def _peak_case(
    about: dict[str, Any], batch_size: int, predicted: int, error: float, measured: int
) -> PredictionCase:
    return PredictionCase(
        **about,
        batch_size=batch_size,
        budget=None,
        unit="bytes",
        predicted=predicted,
        low=predicted * (1 - error),
        high=predicted * (1 + error),
        measured=measured,
    )


def _limit_case(
    about: dict[str, Any],
    expected: PredictedLimit,
    limit: int,
    fails_at: int | None,
    highest: int = LARGEST_BATCH,
) -> PredictionCase:
    """What is predicted is rounded down to a size that a search up to `highest` tries."""
    sizes = [0, *grid(highest)]
    found, *places = (
        bisect_right(sizes, batch) - 1
        for batch in (limit, expected.limit, expected.low, expected.high)
    )
    predicted, low, high = (sizes[place] for place in places)
    return PredictionCase(
        **about,
        batch_size=None,
        budget=expected.target,
        unit="examples",
        predicted=predicted,
        low=low,
        high=high,
        measured=limit,
        fails_at=fails_at,
        steps=places[0] - found,
    )


def gpu_budget(row: PublishedMemory) -> int:
    return gpu_types.room(row.gpu or "", backends()[row.backend].memory).bytes
