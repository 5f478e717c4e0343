"""A tracker costs no measurement, whatever its process does."""

from __future__ import annotations

import math
import sys
import time
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from benchmarks.harness.cli.options import TRACKERS
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.events import EvaluationEnded, TrainingProgress
from benchmarks.harness.machine import packages
from benchmarks.harness.plan.sections import TrackerName
from benchmarks.harness.trackers import metrics, tracker
from benchmarks.harness.trackers.clients import CLIENTS
from benchmarks.harness.trackers.lines import Begin, End, Point, Points, read_line, write_line
from benchmarks.harness.trackers.tracker import Tracker
from benchmarks.harness.trackers.tracking import DISTRIBUTIONS, Tracking, check_installed
from results.schema import CurvePoint, EvaluationPoint, Score, TrackerOutcome

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[3]
SCORE = Score(examples=4, accuracy=0.75, macro_f1=0.7, loss=0.5)


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def test_every_tracker_is_known_everywhere() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for known in (TRACKERS, get_args(TrackerName), CLIENTS, DISTRIBUTIONS):
        assert set(known) == set(TRACKERS)
    for name, distributions in DISTRIBUTIONS.items():
        required = " ".join(extras["optional-dependencies"][name])
        assert any(f"{distribution}>" in required for distribution in distributions)


def test_events_become_points_under_their_names() -> None:
    points = [CurvePoint(2, math.nan, None, 1e-3), CurvePoint(4, 0.5, 1.5, 2e-3)]
    progress = TrainingProgress(step=4, total=9, loss=0.5, seconds=1.0, points=points)
    first, second = metrics.points_of(progress)
    assert (first.step, second.step) == (2, 4)
    assert set(first.metrics) == {"train/loss", "train/learning_rate"}
    assert second.metrics["train/gradient_norm"] == 1.5
    line = read_line(write_line(Points(points=[first])))
    assert isinstance(line, Points) and math.isnan(line.points[0].metrics["train/loss"])
    evaluation = EvaluationPoint(step=4, training_seconds=2.0, scores={"test": SCORE})
    found = metrics.points_of(EvaluationEnded(evaluation=evaluation, points=points[1:]))
    assert [point.step for point in found] == [4, 4]
    assert found[1].metrics == {
        "evaluation/test/accuracy": 0.75,
        "evaluation/test/macro_f1": 0.7,
        "evaluation/test/loss": 0.5,
        "evaluation/training_seconds": 2.0,
    }


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    said: list[str] = []
    hanging = Tracker("mlflow", tmp_path, python("import time; time.sleep(60)"))
    began = time.monotonic()
    hanging.send(End(failed=False, summary={}))
    hanging.close(said.append, seconds=0.3)
    assert time.monotonic() - began < 5
    assert hanging.problem == "it did not end within 0 s and was ended"
    assert said == ["waiting for mlflow, at most 0 s"]


def test_one_that_does_not_keep_up_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "MOST_LINES", 3)
    slow = Tracker("wandb", tmp_path, python("import time; time.sleep(60)"))
    larger_than_a_pipe = Begin(name="x" * 200_000, config={})
    for _ in range(5):
        slow.send(larger_than_a_pipe)
    assert slow.problem == "it does not keep up: 3 lines wait for it"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise SystemExit('no such server')", "it ended: no such server"),
        ("import os; os.kill(os.getpid(), 9)", "it ended without a message"),
        ("print('no answer')", "it ended without a message"),
        ("""print('{"state": "failed", "reason": "full"}')""", "full"),
    ],
)
def test_one_that_fails_says_why(tmp_path: Path, source: str, problem: str) -> None:
    failing = Tracker("trackio", tmp_path, python(source))
    failing.wait_until_ready()
    assert failing.problem == problem
    for _ in range(2):
        failing.send(Points(points=[Point(step=1, metrics={})]))
    failing.close(print)
    assert failing.problem == problem


def test_a_run_goes_on_without_its_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        tracker, "module_command", lambda *words: python("raise SystemExit('no login')")
    )
    tracking = Tracking(["wandb"], tmp_path, said.append)
    tracking.start()
    assert tracking.close(list) == [
        TrackerOutcome(tracker="wandb", trainings=0, problem="it ended: no login")
    ]
    assert said == ["wandb stopped tracking, no measurement is affected: it ended: no login"]


def test_nothing_starts_where_nothing_is_tracked(tmp_path: Path) -> None:
    tracking = Tracking([], tmp_path, print)
    tracking.start()
    assert tracking.close(list) == []
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str | None:
        return "3.1" if name == "mlflow-skinny" else None

    monkeypatch.setattr(packages, "version", installed)
    check_installed(["mlflow"])
    with pytest.raises(UserError, match=r"--track wandb: .* pip install -e '\.\[wandb\]'"):
        check_installed(["mlflow", "wandb"])


def test_wandb_without_a_login_says_how_to_log_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if packages.version("wandb") is None:
        pytest.skip("wandb is not installed: pip install -e '.[wandb]'")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    unknown: Any = Tracker("wandb", tmp_path)
    unknown.wait_until_ready()
    unknown.close(print)
    assert "wandb login" in unknown.problem
