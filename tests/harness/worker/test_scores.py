"""Scores against hand-computed values and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.worker.questions.accuracy import check_final
from benchmarks.harness.worker.scores import evaluations_since_best, score, undefined_metrics
from results.schema import EvaluationPoint, Score


def test_hand_computed() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0]])
    labels = np.array([0, 1, 1, 0])
    result = score(logits, labels)
    assert result.accuracy == 0.75  # the tie of the last one goes to class 0
    # class 0: 2 right of 3 claimed and 2 present; class 1: 1 right of 1 claimed and 2 present
    assert result.macro_f1 == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)
    losses = [
        math.log(1 + math.exp(-2)),
        math.log(1 + math.exp(-1)),
        3 + math.log(1 + math.exp(-3)),
        math.log(2),
    ]
    assert result.loss == pytest.approx(sum(losses) / 4)


@pytest.mark.parametrize(
    ("name", "values", "waited"),
    [
        ("loss", [0.7], 0),
        ("loss", [0.7, 0.6, 0.65, 0.61], 2),
        ("loss", [0.7, 0.6, 0.6], 1),  # no better
        ("accuracy", [0.7, 0.6, 0.8], 0),
        ("mcc", [0.7, 0.6, 0.5], 2),
        ("mcc", [math.nan, 0.6, math.nan, math.inf], 2),  # undefined is not better
    ],
)
def test_evaluations_without_a_better_score(name: str, values: list[float], waited: int) -> None:
    evaluations = []
    for step, value in enumerate(values):
        fields = {"accuracy": 0.5, "macro_f1": 0.5, "loss": 1.0, "metrics": {"mcc": 0.0}}
        fields |= {"metrics": {"mcc": value}} if name == "mcc" else {name: value}
        worse = Score(examples=4, accuracy=0, macro_f1=0, loss=9, metrics={"mcc": -1})
        scores = {"first": Score(examples=4, **fields), "second": worse}
        evaluations.append(EvaluationPoint(step=step, training_seconds=1, scores=scores))
    assert evaluations_since_best(evaluations, name) == waited


def test_a_metric_without_a_value_is_an_error_at_the_end_only() -> None:
    fields = {"examples": 4, "accuracy": 0.5, "macro_f1": 0.5, "loss": 1.0}
    scores = {"test": Score(**fields, metrics={"mcc": 0.1, "own:f": math.nan})}
    point = EvaluationPoint(step=8, training_seconds=1, scores=scores)
    read = EvaluationPoint.model_validate_json(point.model_dump_json())
    problem = "metric own:f returns nan on evaluation set 'test'"
    assert undefined_metrics(read.scores) == {"own:f": problem}
    with pytest.raises(ValueError, match=f"^{problem} after step 8, whose weights are kept: "):
        check_final(read)


def test_large_logits_do_not_overflow() -> None:
    assert score(np.array([[1e4, 0.0]], np.float32), np.array([1])).loss == pytest.approx(1e4)


def test_a_diverged_training_is_an_error() -> None:
    with pytest.raises(ValueError, match="diverged"):
        score(np.array([[math.nan, 0.0]]), np.array([0]))
    with pytest.raises(ValueError, match="do not fit"):
        score(np.zeros((2, 2)), np.array([0]))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(0, 2**31))
def test_laws(labels: list[int], seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(len(labels), 3))
    result = score(logits, np.array(labels))
    assert 0 <= result.macro_f1 <= 1 and 0 <= result.accuracy <= 1 and result.loss > 0
    perfect = score(np.eye(3)[labels] * 50, np.array(labels))
    assert perfect.accuracy == 1
    assert perfect.macro_f1 == pytest.approx(len(set(labels)) / 3)
