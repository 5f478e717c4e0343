"""Is it the same work? Records one training step by step. As soon as two backends of a family have
their traces, a certificate compares them: same batches, same start, and the same losses, gradient
norms, learning rates and weights at every step. The time in pytest-benchmark's table is that of the
whole job, from when its turn comes: with `side_by_side` it may have started before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.harness.equivalence.certify import of_job
from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.run.folder import RunFolder
from results.schema import Measurement

QUESTION = "equivalence"


def test_equivalence(
    job: JobSpec, folder: RunFolder, measure: Callable[[], Measurement], benchmark: Any
) -> None:
    benchmark.group = job.comparison
    benchmark.pedantic(measure, rounds=1, iterations=1)
    certificates = of_job(folder.certificates(), job.key, job.recipe)
    benchmark.extra_info["certificates"] = [c.verdict for c in certificates]
    for certificate in certificates:
        if not certificate.holds:
            pytest.fail(
                f"{certificate.verdict}; likely cause: {certificate.likely_cause}", pytrace=False
            )
