"""How fast? Optimizer steps per second inside the framework's own training loop, and evaluation.

A test is one participant's turn in one round of one launch of a race. Its rounds, in pytest-benchmark's words,
are windows: k optimizer steps of a live `Trainer.train()` or `Model.fit()`, from 'go' to the
device's synchronised end, on pytest-benchmark's clock. Taking part are the backends, each backend's
barest loop as its control, and one backend a second time, whose difference from itself is noise.
They take turns round by round, so that a machine that slows down slows all of them; every launch
starts new processes, because launches differ by more than rounds do.

`turn` records the windows in the run's folder, from which the report is made.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.participant import Participant
from results.schema import Phase

QUESTION = "throughput"
Turn = Callable[[Phase], AbstractContextManager[Participant]]


def test_training_speed(
    job: JobSpec, launch: int, round_: int, folder: RunFolder, turn: Turn, benchmark: Any
) -> None:
    benchmark.group = f"training: {job.comparison}"
    with turn("training") as participant:
        windows = folder.plan.throughput.windows
        benchmark.pedantic(participant.window, setup=participant.mark, rounds=windows)
        if benchmark.stats:  # not with --benchmark-disable
            participant.windows.use_times(benchmark.stats.stats.data)
        benchmark.extra_info.update(participant.windows.rates(participant.round, participant.phase))


@pytest.mark.evaluation
def test_evaluation_speed(
    job: JobSpec, launch: int, round_: int, folder: RunFolder, turn: Turn, benchmark: Any
) -> None:
    benchmark.group = f"evaluation: {job.comparison}"
    with turn("evaluation") as participant:
        windows = folder.plan.throughput.evaluation_windows
        benchmark.pedantic(participant.window, setup=participant.mark, rounds=windows)
        benchmark.extra_info.update(participant.windows.rates(participant.round, participant.phase))
