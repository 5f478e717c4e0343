"""How much memory? The peaks of a few full-length training steps, which are not timed. The time in
pytest-benchmark's table is that of the whole job, from when its turn comes to the end of its
process: with `side_by_side` it may have started before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.harness.plan.plan import JobSpec
from results.schema import Measurement, Memory

QUESTION = "memory"


def test_memory(job: JobSpec, measure: Callable[[], Measurement], benchmark: Any) -> None:
    benchmark.group = job.comparison
    measurement = benchmark.pedantic(measure, rounds=1, iterations=1)
    benchmark.extra_info.update(measurement.require(Memory).model_dump())
