"""A training ends when its evaluations no longer improve."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.conftest import ROOT, finish, measured, start

pytestmark = pytest.mark.once

# The second evaluation is the best one.
METRIC = """
scores = [0.5, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]

def score(predicted, labels):
    return scores[0] if len(labels) == 4 else scores.pop(0)
"""


def test_it_ends_after_its_patience_and_keeps_the_best_weights(
    tmp_path: Path, logistic: str, profile: Callable[..., Path]
) -> None:
    recipe = 'evaluation_interval = 2\nkeep_best = "falls:score"\npatience = 2\n'
    file = profile([logistic], questions=("accuracy",), recipe=recipe)
    (tmp_path / "falls.py").write_text(METRIC)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ("-m", "benchmarks.harness.cli", "run", "--profile", file, "--results", tmp_path)
    code, output, errors = finish(start(*command, cwd=tmp_path, env=environment))
    assert code == 0, output + errors
    ((_, m),) = measured(tmp_path).items()
    assert m.accuracy is not None and m.accuracy.stopped_early
    # Evaluated after steps 2, 4, 6 and 8, not a second time at its end, and once with the kept weights.
    assert m.accuracy.steps == 8 and m.accuracy.kept_step == 4
    assert [e.step for e in m.accuracy.evaluations] == [2, 4, 6, 8, 4]
    (report,) = tmp_path.glob("runs/*/report.html")
    assert "Stopped early, because evaluations no longer improved" in report.read_text("utf-8")
