"""Certificates from files: of all traces of a run's folder, or of two that lie anywhere."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.certificate import certify
from benchmarks.harness.errors import UserError
from benchmarks.harness.plan import comparison
from benchmarks.harness.traces import read_traced
from frameworks.contract import BACKENDS
from results import store
from results.schema import Certificate, JobKey, Measurement


def certify_files(first: Path, second: Path) -> Certificate:
    """Errors: UserError where one is no trace, or they are of different tasks."""
    return certify(read_traced(first), read_traced(second))


def certify_run(folder: Path, measurements: Sequence[Measurement]) -> list[Certificate]:
    """Makes and keeps one certificate for every two backends of a family that left a trace of
    the same task and accumulation, whichever call of the run took it.

    Errors: UserError where a trace's files are damaged or a certificate cannot be written."""
    traces: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for m in measurements:
        info = BACKENDS.get(m.job.backend)
        if m.trace is not None and info is not None and info.certified_with:
            traces[comparison(m.job), info.certified_with].append(m)
    found = []
    for (shape, _), taken in traces.items():
        taken.sort(key=lambda m: list(BACKENDS).index(m.job.backend))
        for first, second in itertools.combinations(taken, 2):
            certificate = certify(*(read_traced(folder / f"{m.job.id}.json", m)
                                    for m in (first, second)))
            name = shape.replace("equivalence", f"{first.job.backend}-{second.job.backend}", 1)
            _keep(folder, name, certificate)
            found.append(certificate)
    return found


def _keep(folder: Path, name: str, certificate: Certificate) -> None:
    try:
        store.write_certificate(folder, name, certificate)
    except store.StoreError as error:
        raise UserError(str(error)) from None


def of_job(certificates: Sequence[Certificate], key: JobKey, accumulation: int) -> list[
        Certificate]:
    """Those that a job's trace is part of."""
    return [c for c in certificates
            if c.task == key.task and key.backend in (c.first.backend, c.second.backend)
            and c.recipe.get("accumulation") == accumulation]
