"""Metrics by name and of the user's own, and what is said about one that has no value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.metrics import Metrics, asked_metrics, check_metrics
from benchmarks.harness.plan.sections import AccuracyPlan
from benchmarks.harness.worker.scores import score, score_of
from frameworks.contract import Recipe

pytestmark = pytest.mark.once

OWN = """
def first_right(predictions, labels):
    return float(predictions[0] == labels[0])

def precision(y_true, y_pred, unused=None):
    return (y_true[y_pred == 1] == 1).mean()

def raises(predictions, labels):
    raise RuntimeError("no scores\\nfor you")

def word(predictions, labels):
    return "good"

def infinite(predictions, labels):
    return float("inf")

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_metrics_of_a_user.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)  # removed again, with the module's cache
    return tmp_path


def test_values_by_hand(folder: Path) -> None:
    names = ["weighted_f1", "mcc", "own_metrics_of_a_user:first_right"]
    names.append("own_metrics_of_a_user:precision")
    logits = np.eye(2)[[0, 1, 1, 0]]
    found = score(logits, np.array([0, 1, 0, 0]), Metrics(names, folder))
    # Right: 0 twice and 1 once; one 0 is taken for 1. F1 of 0 is 2*2/5, of 1 2*1/3.
    assert found.metrics is not None
    assert found.metrics["weighted_f1"] == pytest.approx((3 * 4 / 5 + 2 / 3) / 4)
    assert found.metrics["mcc"] == pytest.approx(2 / np.sqrt(2 * 2 * 3 * 1))
    assert found.metrics["own_metrics_of_a_user:first_right"] == 1
    # Called by name, or labels and predictions would change places: 1 of 2 predicted ones is right.
    assert found.metrics["own_metrics_of_a_user:precision"] == 0.5
    assert score_of(found, "mcc") == found.metrics["mcc"]
    assert score_of(found, "loss") == -found.loss and score_of(found, "accuracy") == 0.75


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_metrics_of_a_user:raises", "raises RuntimeError: no scores for you"),
        ("own_metrics_of_a_user:word", "returns 'good', not a number"),
        ("own_metrics_of_a_user:infinite", "returns inf, not a finite number"),
        ("own_metrics_of_a_user:number", "it is a int, not a function"),
        ("own_metrics_of_a_user:missing", "has no 'missing'"),
        ("no_such_module_here:f", "cannot import 'no_such_module_here' from"),
    ],
)
def test_one_without_a_value_is_told_before_anything_is_trained(
    folder: Path, name: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        check_metrics(["mcc", name], folder)
    line = str(caught.value)
    assert line.startswith(f"metric {name}: ") and message in line and "\n" not in line


def test_what_a_job_asks_for() -> None:
    recipe = Recipe(keep_best="mcc", evaluation_interval=2)
    assert asked_metrics(["accuracy", "macro_f1", "weighted_f1"], recipe) == ["weighted_f1", "mcc"]
    plan = AccuracyPlan().with_options({"metrics": ["mcc", "accuracy"], "keep_models": True})
    assert plan.metrics == ["accuracy", "macro_f1", "mcc"] and plan.keep_models


@pytest.mark.parametrize("name", ["f1", "module.function", ":f", "loss"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match="is not a metric: use accuracy, macro_f1, weighted_f1, mcc"
    ):
        AccuracyPlan(metrics=[name])
