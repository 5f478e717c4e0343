"""Predictions held against what was measured: every probe that ended well and every limit of the
named runs, and the published figures of results/reference.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks.harness import gpus, installed
from benchmarks.harness.predict import Footprint, Refusal, calibrations
from benchmarks.harness.predictions import (
    Target,
    Work,
    predicted_limit,
    problems,
    started,
    traced,
)
from frameworks.contract import Phase, Recipe
from results.schema import BatchLimit, Measurement, PredictionCase

LABELS = ["0", "1", "2"]  # their number moves no figure that can be seen
# The fields that move memory; works that differ in others are traced once.
FIELDS = ("accumulation", "attention", "compile", "dropout", "gradient_checkpointing", "length",
          "max_gradient_norm", "optimizer", "precision")


class PublishedMemory(BaseModel):
    """One row of `[[memory]]` in reference.toml: a peak or a limit that others have published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    checkpoint: str
    length: int
    precision: str
    gpu: str | None = None  # a type of gpus.toml
    budget_bytes: int | None = None  # of another card
    attention: str | None = None
    phase: Phase = "training"
    batch_size: int | None = None
    peak_bytes: int | None = None  # at that batch size
    fits: int | None = None  # the largest batch that is known to fit
    fails: int | None = None  # the smallest that is known not to
    source: str


def published() -> list[PublishedMemory]:
    text = resources.files("results").joinpath("reference.toml").read_text("utf-8")
    return [PublishedMemory.model_validate(row) for row in tomllib.loads(text).get("memory", [])]


def step_of(limit: int) -> int:
    """The search's step at a limit: 1 below 64, above it 5 % rounded to a multiple of 8."""
    return 1 if limit < 64 else max(8, round(limit * 0.05 / 8) * 8)


def cases(measurements: Sequence[Measurement], say: Callable[[str], None]) -> list[PredictionCase]:
    """One case per probe and limit of the measurements, then the published ones."""
    measured = [m for m in measurements if m.batch_limit and m.checkpoint]
    works = {m.job.id: work_of(m) for m in measured}
    rows = {work_of_published(row): row for row in published()}
    taken = footprints([*works.values(), *rows], say)
    found = []
    for m in measured:
        work = works[m.job.id]
        if m.batch_limit and work in taken:
            found += list(_measured(m, m.batch_limit, work, taken[work]))
    for row in published():
        work = work_of_published(row)
        if work in taken:
            found += list(_published(row, work, taken[work]))
    return found


def work_of(m: Measurement) -> Work:
    """The work of a limit's measurement; a baseline's checkpoint lends it only a tokenizer."""
    assert m.batch_limit is not None and m.checkpoint is not None
    name = m.checkpoint.name.removeprefix("none (tokenizer of ").removesuffix(")")
    recipe = Recipe(**{field: m.recipe[field] for field in FIELDS if field in m.recipe})
    return Work(m.job.backend, name, m.device.kind, m.batch_limit.phase, recipe)


def work_of_published(row: PublishedMemory) -> Work:
    recipe = Recipe.model_validate({"length": row.length, "precision": row.precision,
                                    "attention": row.attention})
    return Work(row.backend, row.checkpoint, "gpu", row.phase, recipe)


def footprints(works: Sequence[Work], say: Callable[[str], None]) -> dict[Work, Footprint]:
    """Of the works that can be traced here; of the others it is said why not."""
    found = {}
    with started({work.checkpoint for work in works}, LABELS) as starts:
        able = []
        for work in dict.fromkeys(works):
            why = installed.missing(work.backend) or "; ".join(
                problems(work, starts[work.checkpoint]))
            if why:
                say(f"left out: {case_name(work)} of {work.backend}: {why}")
            else:
                able.append(work)
        for work, footprint in traced(able, starts).items():
            if isinstance(footprint, Refusal):
                say(f"left out: {footprint.reason}")
            else:
                found[work] = footprint
    return found


def _measured(m: Measurement, limit: BatchLimit, work: Work,
              footprint: Footprint) -> Iterator[PredictionCase]:
    calibration = calibrations()[work.backend][work.device]
    about: dict[str, Any] = {
        "backend": work.backend, "checkpoint": work.checkpoint,
        "architecture": m.checkpoint.architecture if m.checkpoint else "",
        "length": work.recipe.length, "precision": work.recipe.precision, "phase": work.phase,
        "source": "measured",
    }
    for probe in limit.probes:
        if probe.outcome == "ok" and probe.peak_bytes:
            yield PredictionCase(
                **about, batch_size=probe.batch_size, budget=None, unit="bytes",
                predicted=footprint.peak(probe.batch_size).bytes, measured=probe.peak_bytes,
                fitted=f"{case_name(work)} {probe.batch_size}" in calibration.cases)
    if limit.limit is not None and limit.fails_at is not None:
        target = Target(limit.budget, limit.budget_bytes)
        promised = predicted_limit(footprint, target, calibration.error).limit
        yield PredictionCase(
            **about, batch_size=None, budget=limit.budget, unit="examples", predicted=promised,
            measured=limit.limit,
            within_step=abs(promised - limit.limit) <= step_of(max(promised, limit.limit)))


def case_name(work: Work) -> str:
    """How calibration.toml names a case, the batch size left out."""
    recipe = work.recipe
    return f"{work.checkpoint} {recipe.length} {recipe.precision} {work.phase}"


def _published(row: PublishedMemory, work: Work, footprint: Footprint) -> Iterator[PredictionCase]:
    about: dict[str, Any] = {
        "backend": row.backend, "checkpoint": row.checkpoint, "architecture": row.checkpoint,
        "length": row.length, "precision": row.precision, "phase": row.phase,
        "source": row.source,
    }
    if row.peak_bytes and row.batch_size:
        yield PredictionCase(**about, batch_size=row.batch_size, budget=None, unit="bytes",
                             predicted=footprint.peak(row.batch_size).bytes,
                             measured=row.peak_bytes)
    if row.fits is not None:
        budget = row.budget_bytes or gpu_budget(row)
        error = calibrations()[row.backend][work.device].error
        limit = predicted_limit(footprint, Target(row.gpu or "GPU", budget), error).limit
        above = row.fails if row.fails is not None else row.fits + 1
        yield PredictionCase(**about, batch_size=None, budget=row.gpu or f"{budget / 2**30:.0f}GiB",
                             unit="examples", predicted=limit, measured=row.fits,
                             within_step=row.fits - step_of(row.fits) <= limit
                             < above + step_of(row.fits))


def gpu_budget(row: PublishedMemory) -> int:
    framework: gpus.Framework = "torch" if row.backend == "hf_torch" else "tensorflow"
    found = gpus.gpu_type(row.gpu or "").budget_bytes(framework)
    assert found is not None, f"{row.gpu} has no reading"
    return found


