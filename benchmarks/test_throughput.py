"""How fast? Optimizer steps per second inside the framework's own training loop, and evaluation.

Each round of a test is one window: k optimizer steps of a live `Trainer.train()` or
`Model.fit()`, from 'go' to the device's synchronised end, on pytest-benchmark's clock. The
participants of a comparison take turns round by round, so that a machine that slows down slows
all: the backends, each backend's barest loop as its control, and one backend a second time, whose
difference from itself is the noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.run.race import SpeedJob
from benchmarks.harness.run.run import Run

QUESTION = "throughput"
Turn = Callable[[Callable[[SpeedJob], Any]], Any]


def test_training_speed(job: JobSpec, round_: int, run: Run, windows: Turn, benchmark: Any) -> None:
    benchmark.group = f"training: {job.comparison}"
    rounds = run.plan.throughput.windows

    def take(speed: SpeedJob) -> dict[str, Any]:
        benchmark.pedantic(speed.training_window, setup=speed.mark, rounds=rounds)
        speed.end_turn()
        speed.retime(list(benchmark.stats.stats.data))
        return speed.figures()

    benchmark.extra_info.update(windows(take))


@pytest.mark.evaluation
def test_evaluation_speed(
    job: JobSpec, round_: int, run: Run, windows: Turn, benchmark: Any
) -> None:
    benchmark.group = f"evaluation: {job.comparison}"
    rounds = run.plan.throughput.evaluation_windows

    def take(speed: SpeedJob) -> dict[str, Any]:
        speed.warm_up_evaluation()
        benchmark.pedantic(speed.evaluation_window, setup=speed.mark, rounds=rounds)
        speed.end_turn()
        return speed.figures()

    benchmark.extra_info.update(windows(take))
