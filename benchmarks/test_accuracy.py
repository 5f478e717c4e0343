"""How accurate? Trains to the recipe's end, then scores whole evaluation sets. The time in
pytest-benchmark's table is that of the whole job, from the start of its process to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.harness.plan.plan import JobSpec
from results.schema import Accuracy, Measurement

QUESTION = "accuracy"


def test_accuracy(job: JobSpec, measure: Callable[[], Measurement], benchmark: Any) -> None:
    benchmark.group = job.comparison
    measurement = benchmark.pedantic(measure, rounds=1, iterations=1)
    benchmark.extra_info.update(measurement.require(Accuracy).model_dump(exclude={"curve"}))
