"""Certificates from files: of all traces in a run's folder, or of any two trace files."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.trace import Traced, read_traced
from benchmarks.harness.errors import UserError
from frameworks.contract import Recipe, backends
from results import store
from results.schema import Certificate, JobKey, Measurement
from results.schema.job import comparison


def certify_files(first: Path, second: Path, *repeats: Path) -> Certificate:
    """Compares two trace files. Two in a reduced precision also need the fp32 trace of one or both
    backends.

    Raises UserError when a file is not a trace, or when the traces do not belong together."""
    return certify(read_traced(first), read_traced(second), [read_traced(p) for p in repeats])


def certify_run(folder: Path, measurements: Sequence[Measurement]) -> list[Certificate]:
    """Writes one certificate for every two backends of a family that recorded a trace of the same
    task, accumulation and precision, in whichever call of the run. Two in a reduced precision
    are skipped until one of them has an fp32 trace.

    Raises UserError when a trace's files are damaged or a certificate cannot be written."""
    traces: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for m in measurements:
        info = backends().get(m.job.backend)
        if m.trace is not None and info is not None and info.family:
            traces[comparison(m.job), info.family].append(m)
    found = []
    for (shape, _), recorded in traces.items():
        recorded.sort(key=lambda m: (backends()[m.job.backend].position, m.job.backend))
        for first, second in itertools.combinations(recorded, 2):
            repeats = repeats_of((first, second), measurements)
            if not repeats and first.recipe["precision"] != "fp32":
                continue
            certificate = certify(
                _read(folder, first), _read(folder, second), [_read(folder, m) for m in repeats]
            )
            name = shape.replace("equivalence", f"{first.job.backend}-{second.job.backend}", 1)
            _keep(folder, name, certificate)
            found.append(certificate)
    return found


def repeats_of(
    pair: Sequence[Measurement], measurements: Sequence[Measurement]
) -> list[Measurement]:
    """The fp32 traces of the same trainings as two in a reduced precision. Empty for fp32 itself,
    whose bounds are fixed."""
    wanted = [_training(m) for m in pair if m.recipe["precision"] != "fp32"]
    return [
        m
        for m in measurements
        if m.recipe["precision"] == "fp32" and m.trace is not None and _training(m) in wanted
    ]


def _training(m: Measurement) -> tuple[str, str, dict[str, Any]]:
    """What the traces of one training have in common, whatever their precision."""
    free = {"precision"}
    if m.trace is not None and m.trace.calibration_norms is not None:
        free.add("max_gradient_norm")  # each trace took it from its own first steps
    return m.job.backend, m.job.task, {k: v for k, v in m.recipe.items() if k not in free}


def _read(folder: Path, measurement: Measurement) -> Traced:
    return read_traced(folder / f"{measurement.job.id}.json", measurement)


def _keep(folder: Path, name: str, certificate: Certificate) -> None:
    try:
        store.write_certificate(folder, name, certificate)
    except store.StoreError as error:
        raise UserError(str(error)) from None


def of_job(certificates: Sequence[Certificate], key: JobKey, recipe: Recipe) -> list[Certificate]:
    """The certificates in which a job's trace is one of the two sides."""
    return [
        c
        for c in certificates
        if c.task == key.task
        and key.backend in (c.first.backend, c.second.backend)
        and c.recipe.get("accumulation") == recipe.accumulation
        and c.recipe.get("precision") == recipe.precision
    ]
