"""`ftbench tune` end to end on a tiny model, with two levers so that it takes seconds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.jobs.events import Event
from benchmarks.harness.jobs.process import WorkerProcess
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.run import Run
from benchmarks.harness.tune import tuner as tuning
from benchmarks.harness.tune.levers import Lever
from benchmarks.harness.tune.profile import write_tuning
from benchmarks.harness.tune.trial import Trial
from results.schema import JobKey, Tuning
from results.store import latest_run
from tests.benchmarks.conftest import finish, ftbench, refused, start

Profile = Callable[..., Path]

pytestmark = pytest.mark.once


def test_levers_are_raced_the_winner_is_written_and_a_stopped_tuning_is_resumed(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    backend = logistic
    file = profile([backend], questions=("throughput",), launches=3)
    file.write_text(file.read_text().replace("rounds = 2", "rounds = 3"))  # one launch may show it
    with file.open("a") as text:
        text.write("[tuning]\naccuracy_margin = 0.99\n")
    asked = ("--backend", backend, "--task", "imdb", "--profile", str(file))
    code, output, errors = tune(*asked, "--results", str(tmp_path))
    assert code == 0, output + errors
    folder = latest_run(tmp_path)
    assert folder is not None
    check(folder, output)
    go_on(tmp_path, folder, asked)


def check(folder: Path, output: str) -> None:
    found = json.loads((folder / "tuning.json").read_text())
    noise, tf32, buckets, *whole = found["steps"]
    assert noise["lever"] == "plain, again" and noise["gain"] > 0 and not noise["kept"]
    assert tf32["gain"] is None and "GPU" in tf32["reason"]
    assert noise["gain_low"] <= noise["gain"] <= noise["gain_high"]
    if (buckets["reason"] or "").startswith("slower, ended after"):
        assert buckets["gain"] < 1 and buckets["gain_low"] is None and not buckets["kept"]
    else:
        assert buckets["gain_low"] <= buckets["gain"] <= buckets["gain_high"]
        assert buckets["kept"] == (buckets["gain_low"] > 1)
    assert found["levers_tried"] == 1
    assert [step["against"] for step in whole] == ["plain"] * buckets["kept"]
    wins = bool(whole) and whole[0]["kept"]
    assert (found["levers"], found["gain"] is not None) == ([buckets["lever"]] * wins, wins)
    assert (found["accuracy"] is not None) == wins
    assert "with 3 seeds instead of the profile's 1" in output
    load_profile(str(folder / "tuned.toml"))
    assert "How fast can it be made?" in (folder / "report.md").read_text()
    assert str(folder / "tuned.toml") in output


def go_on(results: Path, folder: Path, asked: tuple[str, ...]) -> None:
    """From what a stop leaves after the first race, the second one's files half there."""
    before = json.loads((folder / "tuning.json").read_text())
    (folder / "tuning.json").unlink()
    races = {side: sorted(folder.glob(f"throughput-*-{side}.json")) for side in ("first", "second")}
    races["second"][1].unlink()
    kept = races["first"][0].stat().st_mtime_ns
    resume = ("--resume", folder.name, "--results", str(results))
    code, output, errors = tune(*resume)
    assert code == 0, output + errors
    assert races["first"][0].stat().st_mtime_ns == kept and races["second"][1].is_file()
    after = json.loads((folder / "tuning.json").read_text())
    assert after["steps"][0] == before["steps"][0]  # the noise, not raced again
    for words, part in [
        ((*resume, *asked[:2]), "--backend: a resumed run keeps its own options"),
        (("--resume", "las", "--results", str(results)), "unknown run 'las'"),
    ]:
        code, _, errors = ftbench("tune", *words)
        assert code == 2 and part in errors and len(errors.strip().splitlines()) == 1
    code, _, errors = ftbench("run", *resume)
    assert code == 2 and f"use `ftbench tune --resume {folder.name}`" in errors


def test_where_the_plain_recipe_does_not_run_there_is_no_winner(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    """No worker of this backend starts."""
    backend = logistic
    file = profile([backend], questions=("throughput",))
    with file.open("a") as text:
        text.write(f'[environment.{backend}]\nPYTHONHOME = "/nowhere"\n')
    code, output, errors = tune(
        "--backend", backend, "--task", "imdb", "--profile", str(file), "--results", str(tmp_path)
    )
    folder = latest_run(tmp_path)
    assert code == 1 and folder is not None
    assert len(errors.strip().splitlines()) == 1
    assert "no winner: the plain recipe's race against itself gave no interval" in errors
    assert "failed: " in errors and f"ftbench tune --resume {folder.name}" in errors
    assert not (folder / "tuning.json").exists() and not (folder / "tuned.toml").exists()
    assert "length buckets" not in output


def test_trainings_that_are_killed(
    tmp_path: Path, logistic: str, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tuning three times, going on each time: the plain training is killed, then the
    tuned one, then none. Its lever gains by decree in one launch, and its accuracy of two seeds
    holds by a wide margin."""
    full = Lever("full", {"padding": "max"})
    monkeypatch.setattr(tuning, "levers", lambda *_: [full])
    monkeypatch.setattr(Trial, "counts", lambda trial, tried=1: trial.gain is not None)
    monkeypatch.setattr(Trial, "interval", lambda trial, tried=1: (0.9, 1.1))
    monkeypatch.setattr(tuning, "FEWEST_LAUNCHES", 1)
    monkeypatch.setattr(tuning, "SEEDS", 2)
    file = profile([logistic], recipe='steps = 5\nevaluation_interval = 2\nkeep_best = "loss"')
    choice = Choice(profile=str(file), questions=["accuracy"])
    with file.open("a") as text:
        text.write("[tuning]\naccuracy_margin = 0.99\n")
    asked = load_profile(str(file)).model_copy(update={"questions": ["accuracy"]})
    plan = tuning.plan_for(make_plan(choice, asked, ["imdb"], "ftbench tune"), print)
    run = RunFolder.new(tmp_path, plan)
    run.create()

    def tuned(doomed: str | None) -> Tuning:
        def watch(key: JobKey, event: Event) -> None:
            if doomed and key.question == "accuracy" and ("tuned" in key.id) == (doomed == "tuned"):
                (worker,) = WorkerProcess.alive
                os.kill(worker, signal.SIGKILL)

        return tuning.Tuner(Run(run, print, watch), print).tune()

    with pytest.raises(tuning.NoWinner, match="training gave no accuracy to compare with: killed"):
        tuned("plain")
    races = {m.job.id: m.started_at for m in run.measurements() if m.throughput}
    found = tuned("tuned")
    assert found.levers == [] and found.gain is None
    assert "killed" in found.dropped[0].reason and found.dropped[0].levers == "full"
    found = tuned(None)
    assert found.levers == ["full"] and found.dropped == [] and found.accuracy
    assert {m.job.id: m.started_at for m in run.measurements() if m.throughput} == races
    trainings = [m.accuracy for m in run.measurements() if m.accuracy]
    assert [a.steps for a in trainings] == [5] * 4  # two seeds of two recipes
    assert all({e.step for e in a.evaluations} == {2, 4, 5} for a in trainings)
    recipe = load_profile(str(write_tuning(run, found))).recipe_for(logistic, "imdb")
    assert (recipe.steps, recipe.evaluation_interval, recipe.keep_best) == (5, 2, "loss")


def tune(*arguments: str) -> tuple[int, str, str]:
    """`ftbench tune` with two levers."""
    return finish(
        start(
            "-c",
            f"""
import sys
from benchmarks.harness.cli import main
from benchmarks.harness.tune import tuner
every = tuner.levers
tuner.levers = lambda *known: [
    lever for lever in every(*known)
    if lever.name in ("tf32", "length buckets")]
sys.exit(main.main(["tune", *{arguments!r}]))
""",
        )
    )


def test_what_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, part in [
        (("--task", "imdb"), "one --backend"),
        (("--backend", "hf_torch"), "one --task"),
        (("--backend", "hf_torch", "--task", "imdb", "--question", "memory"), "--question"),
    ]:
        assert part in refused(capsys, "tune", "--results", tmp_path, *arguments)
    assert not (tmp_path / "runs").exists()
