"""How large a batch fits? Finds the batch that trains while the next larger one runs out of memory,
with one worker per probe. The time in pytest-benchmark's table is that of the whole search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.harness.plan.plan import JobSpec
from results.schema import BatchLimit, Measurement

QUESTION = "batch_limit"


def test_batch_limit(job: JobSpec, measure: Callable[[], Measurement], benchmark: Any) -> None:
    benchmark.group = job.comparison
    measurement = benchmark.pedantic(measure, rounds=1, iterations=1)
    benchmark.extra_info.update(
        measurement.require(BatchLimit).model_dump(exclude={"probes", "finders"})
    )
