"""Between its turns a participant of a race computes nothing: another one's window is timed. A round
that other work disturbs is taken again."""

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
from benchmarks.harness.run import participant
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.participant import Participant
from benchmarks.harness.run.race import Race
from benchmarks.harness.run.run import Run
from results.schema import Load
from tests.benchmarks.conftest import here

SECONDS, RESTS = 1.0, 0.05  # of processor time, in that long


@pytest.mark.parametrize(
    "backend", [pytest.param("hf_torch", marks=pytest.mark.once), "hf_tf", "keras_rnn"]
)
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
        job = Participant(attempt)
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
        found = job.finish().windows
    assert (len(found["training"]), len(found["evaluation"])) == (4, 2)


@pytest.mark.once
def test_a_disturbed_round_is_taken_again_and_both_takes_are_kept(
    tmp_path: Path, logistic: str, profile: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two launches; in each, the first two takes of a round are disturbed, and two may be repeated."""
    file = profile([logistic], questions=("throughput",), launches=2)
    file.write_text(file.read_text().replace("retakes = 0", "retakes = 2"))
    plan = make_plan(Choice(profile=str(file)), load_profile(str(file)), ["imdb"], "")
    folder = RunFolder.new(tmp_path, plan)
    jobs = list(Run(folder, print, lambda key, event: None).prepare(plan.jobs).values())
    folder.create()
    busy = iter([True] * 4 + [False] * 100)  # two windows a turn
    monkeypatch.setattr(
        participant.load, "between", lambda *_: Load(other_busy_share=0.5 * next(busy))
    )
    with Race(folder, lambda key, event: None) as race:
        race.run([job for job in jobs if isinstance(job, Ready)], evaluation=False)
    (m,) = folder.measurements()
    assert m.throughput and [launch.number for launch in m.throughput.launches] == [0, 1]
    takes = [(w.launch, w.round, w.superseded) for w in m.throughput.windows[::2]]
    assert takes == [
        (0, 0, True),
        (0, 0, True),
        (0, 0, False),
        (0, 1, False),
        (1, 0, False),
        (1, 1, False),
    ]
    assert all(bool(w.load.disturbances) == w.superseded for w in m.throughput.windows)
    of_launches = [[w.tokens for w in m.throughput.warmup if w.launch == i] for i in (0, 1)]
    assert of_launches[0] == of_launches[1]  # every launch begins with the same batches


@pytest.mark.once
def test_windows_are_lengthened_alike_for_a_whole_race(
    tmp_path: Path, logistic: str, profile: Callable[..., Path]
) -> None:
    """On a CPU only where the profile asks for it. The second launch has the first one's windows."""
    file = profile([logistic], questions=("throughput",), launches=2, controls=True)
    file.write_text(file.read_text().replace("retakes = 0", "retakes = 0\nwindow_seconds = 0.2"))
    plan = make_plan(Choice(profile=str(file)), load_profile(str(file)), ["imdb"], "")
    folder = RunFolder.new(tmp_path, plan)
    jobs = list(Run(folder, print, lambda key, event: None).prepare(plan.jobs).values())
    folder.create()
    with Race(folder, lambda key, event: None) as race:
        race.run([job for job in jobs if isinstance(job, Ready)])
    found = [m.throughput for m in folder.measurements() if m.throughput]
    assert len(found) == 3
    (steps,) = {window.steps for speed in found for window in speed.windows}
    assert steps > plan.throughput.steps_per_window
    for speed in found:
        assert speed.warmup[0].steps == plan.throughput.steps_per_window
        assert [w.steps for w in speed.warmup if w.launch == 0][-1] == steps
        assert [len([w for w in speed.windows if w.launch == n]) for n in (0, 1)] == [4, 4]
    (speed,) = (speed for speed in found if speed.evaluation_windows)
    (batches,) = {window.steps for window in speed.evaluation_windows}
    assert batches > plan.throughput.evaluation_batches
    assert {w.examples for w in speed.evaluation_windows} == {4 * batches}
    warmups = [(w.launch, w.steps) for w in speed.evaluation_warmup]
    assert warmups[0] == (0, plan.throughput.evaluation_batches)
    assert warmups[-2:] == [(0, batches), (1, batches)]  # none counts that takes a size first
