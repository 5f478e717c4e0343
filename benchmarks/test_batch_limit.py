"""How large a batch fits? It trained, and the next larger one ran out of memory: a worker for every
probe. The seconds in pytest-benchmark's table are the whole search's."""

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
