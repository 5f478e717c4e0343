"""Tuning keeps a faster recipe only if its accuracy holds. Races and trainings are fakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.plan.plan import Plan
from benchmarks.harness.tune.tuner import NoWinner
from results.report.sections.tuning import sentence
from tests.harness.tune.fake_run import FakeRun, rate, tuned

pytestmark = pytest.mark.usefixtures("two_levers")


def test_trainings_are_those_of_the_accuracy_question(tmp_path: Path, plan: Plan) -> None:
    run = FakeRun(tmp_path, plan, rate)
    tuned(run)
    trainings = [m.recipe for m in run.measurements() if m.job.question == "accuracy"]
    assert len(trainings) == 2 * 3
    assert all(
        (r["steps"], r["evaluation_interval"], r["keep_best"], r["batch_size"])
        == (200, 50, "accuracy", 8)
        for r in trainings
    )
    races = [m.recipe for m in run.measurements() if m.job.question == "throughput"]
    assert all(
        (r["steps"], r["evaluation_interval"], r["keep_best"])
        == (plan.throughput.training_steps, 0, None)
        for r in races
    )


def test_an_accuracy_is_judged_over_its_seeds(tmp_path: Path, plan: Plan) -> None:
    """Between 10 lower and 20 higher: 5 higher in the mean, and seeds differ too much to tell."""
    right = {42: (900, 890), 43: (900, 920), 44: (900, 905)}
    run = FakeRun(
        tmp_path, plan, rate, lambda spec: right[spec.recipe.seed][spec.recipe.precision == "bf16"]
    )
    found = tuned(run)
    assert found.levers == ["buckets"]
    (dropped,) = found.dropped
    assert dropped.levers == "bf16"
    assert "whether the accuracy holds cannot be told, 90.5% against 90.0%" in dropped.reason
    assert "3 seeds: more seeds or more evaluation examples are needed" in dropped.reason


def test_random_weights_are_tuned_without_accuracy(tmp_path: Path, plan: Plan) -> None:
    found = tuned(FakeRun(tmp_path, plan, rate, lambda spec: "refused"))
    assert found.levers == ["bf16", "buckets"] and found.accuracy is None
    assert "its accuracy was not measured: random weights" in sentence(found)


@pytest.mark.parametrize("status", ["killed", "failed", "timeout"])
def test_a_plain_training_that_fails_leaves_no_winner(
    tmp_path: Path, plan: Plan, status: str
) -> None:
    with pytest.raises(NoWinner, match=f"{status}: no memory"):
        tuned(FakeRun(tmp_path, plan, rate, lambda spec: status))


def test_a_tuned_training_that_fails_drops_its_most_arithmetic_lever(
    tmp_path: Path, plan: Plan
) -> None:
    found = tuned(
        FakeRun(
            tmp_path, plan, rate, lambda spec: "killed" if spec.recipe.precision == "bf16" else 900
        )
    )
    assert found.levers == ["buckets"] and found.gain == pytest.approx(1.5, rel=0.05)
    (dropped,) = found.dropped
    assert dropped.levers == "bf16" and "killed: no memory" in dropped.reason
    assert "Dropped bf16: its training gave no accuracy: killed: no memory." in sentence(found)


def test_a_recipe_that_loses_accuracy_is_dropped_with_the_reason(
    tmp_path: Path, plan: Plan
) -> None:
    changed = tuned(
        FakeRun(
            tmp_path,
            plan,
            rate,
            lambda spec: (
                900 if (spec.recipe.precision, spec.recipe.padding) == ("fp32", "max") else 700
            ),
        )
    )
    assert (changed.levers, changed.tuned_fields, changed.gain) == ([], {}, None)
    assert [one.levers for one in changed.dropped] == ["bf16", "buckets"]
    text = sentence(changed)
    assert "No lever made" not in text and text.startswith("No gain was confirmed")
    assert "Dropped bf16: the accuracy does not hold, 70.0% against 90.0% on 1,000" in text


def test_a_recipe_whose_accuracy_is_undecided_is_not_kept(tmp_path: Path, plan: Plan) -> None:
    """As many are right, but on other examples: a thousand cannot tell one point."""
    found = tuned(
        FakeRun(tmp_path, plan, rate, lambda spec: -900 if spec.recipe.precision == "bf16" else 900)
    )
    assert found.levers == ["buckets"] and found.accuracy and found.accuracy.verdict == "holds"
    assert "Dropped bf16: whether the accuracy holds cannot be told" in sentence(found)


def test_the_margin_is_the_profiles(tmp_path: Path, plan: Plan) -> None:
    wide = plan.model_copy(
        update={"tuning": plan.tuning.model_copy(update={"accuracy_margin": 0.05})}
    )
    found = tuned(
        FakeRun(tmp_path, wide, rate, lambda spec: -900 if spec.recipe.precision == "bf16" else 900)
    )
    assert found.accuracy and found.accuracy.verdict == "holds"
    assert "the accuracy holds to within 5 points" in sentence(found)
