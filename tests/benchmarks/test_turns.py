"""Between its turns a participant of a race computes nothing: another one's window is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.harness.jobs.attempt import Attempt, Ready
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.participant import Participant
from benchmarks.harness.run.run import Run
from tests.benchmarks.conftest import here

SECONDS, RESTS = 1.0, 0.05  # of processor time, in that long


@pytest.mark.parametrize("backend", ["hf_torch", "hf_tf", "keras_rnn"])
def test_a_participant_rests_after_its_last_windows(
    backend: str, tmp_path: Path, profile: Callable[..., Path]
) -> None:
    file = profile(here(backend), questions=("throughput",))
    plan = make_plan(Choice(profile=str(file)), load_profile(str(file)), ["imdb"], "")
    folder = RunFolder.new(tmp_path, plan)
    (ready,) = Run(folder, print, lambda key, event: None).prepare(plan.jobs).values()
    folder.create()
    assert isinstance(ready, Ready)
    with Attempt(ready, folder.path, folder.device, lambda key, event: None) as attempt:
        job = Participant(attempt, "a race")
        worker = psutil.Process(attempt.worker.pid)

        def spent() -> float:
            time.sleep(SECONDS / 2)  # a pool's threads may spin for a moment
            before = sum(worker.cpu_times()[:2])
            time.sleep(SECONDS)
            return float(sum(worker.cpu_times()[:2]) - before)

        job.start()
        for round_ in range(plan.throughput.rounds):
            job.take_turn(round_, "training")
        assert spent() < RESTS
        for round_ in range(plan.throughput.rounds):
            job.take_turn(round_, "evaluation")
        assert spent() < RESTS
        m = job.finish()
    assert m.throughput and len(m.throughput.windows) == 4
    assert len(m.throughput.evaluation_windows) == 2
