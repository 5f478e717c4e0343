"""Tuning: what is tried, what is kept, and the profile that is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import tune
from benchmarks.harness.plan import Choice, make_plan
from benchmarks.harness.profiles import load_profile
from benchmarks.harness.tune import Candidate, Lever
from frameworks.contract import Recipe
from results.schema import Accuracy, Device, JobKey, Measurement, Score, Tuning, TuningStep
from results.statistics import Estimate, Interval

CPU = Device(kind="cpu", name="a processor", memory_bytes=1, cores=2)
BF16, BUCKETS = Lever("bf16", {"precision": "bf16"}), Lever("buckets", {"padding": "buckets"})


def test_levers_change_something_and_keep_the_examples_of_a_step() -> None:
    plain = Recipe(batch_size=8, accumulation=2, padding="longest")
    found = tune.levers(plain, CPU)
    assert len({lever.name for lever in found}) == len(found)
    assert "padding to the longest" not in {lever.name for lever in found}
    for lever in found:
        recipe = Candidate((lever,)).recipe(plain)
        assert recipe != plain or lever.environment
        assert recipe.batch_size * recipe.accumulation == 16
        unchanged = ("learning_rate", "schedule", "weight_decay", "epochs", "seed", "length")
        assert all(getattr(recipe, name) == getattr(plain, name) for name in unchanged)


def test_fewer_threads_and_all_are_tried_where_there_are_two() -> None:
    counts = [lever.environment["OMP_NUM_THREADS"] for lever in tune.levers(Recipe(), CPU)
              if lever.environment]
    assert counts == ["1", "2"]
    single = CPU.model_copy(update={"cores": 1})
    assert not any(lever.environment for lever in tune.levers(Recipe(), single))


class Racing:
    """What a race shows of one of its two."""

    def __init__(self, *rates: float) -> None:
        self.example_rates = list(rates)


@pytest.mark.parametrize(("second", "lost"), [
    ((8.0, 9.0, 9.9), True), ((8.0, 9.0, 10.1), False), ((11.0, 12.0, 13.0), False),
    ((8.0,), False)])
def test_a_race_ends_when_the_lever_is_slower_for_certain(
    second: tuple[float, ...], lost: bool
) -> None:
    first = Racing(*[10.0] * len(second))
    assert tune.lost([first, Racing(*second)]) == lost  # type: ignore[list-item]
    assert tune.lost([first])  # type: ignore[list-item]


def test_levers_of_the_same_field_are_not_put_together() -> None:
    both = Candidate((BF16, BUCKETS))
    assert both.differs_where(Lever("fp16", {"precision": "fp16"}))
    assert not both.differs_where(Lever("compiled", {"compile": True}))
    assert both.recipe(Recipe()).precision == "bf16"
    assert both.without(BF16).name == "buckets"
    assert Candidate().name == "plain"


def test_a_gain_counts_only_beyond_its_interval() -> None:
    assert tune.counts(Estimate(1.2, Interval(1.1, 1.3)), 0.05)
    assert not tune.counts(Estimate(1.2, Interval(0.9, 1.5)), 0.05)
    assert not tune.counts(Estimate(1.2, None), 0.05)
    assert not tune.counts(None, 0.05)


def test_a_gain_within_the_noise_is_none() -> None:
    noise = tune.floor(Estimate(0.99, Interval(0.96, 1.03)))
    assert noise == pytest.approx(0.04)
    assert not tune.counts(Estimate(1.03, Interval(1.01, 1.05)), noise)
    assert tune.floor(None) == 0


def test_precision_is_the_first_to_be_dropped() -> None:
    compiled = Lever("compiled", {"compile": True})
    assert tune.most_arithmetic(Candidate((compiled, BUCKETS, BF16))) == BF16
    assert tune.most_arithmetic(Candidate((compiled, BUCKETS))) == BUCKETS
    assert tune.most_arithmetic(Candidate((compiled,))) == compiled


def trained(folder: Path, name: str, right: list[bool]) -> Measurement:
    labels = np.zeros(len(right), np.int32)
    logits = np.array([[1.0, 0.0] if ok else [0.0, 1.0] for ok in right])
    np.savez_compressed(folder / f"{name}.npz", test_logits=logits, test_labels=labels)
    score = Score(examples=len(right), accuracy=float(np.mean(right)), macro_f1=0.5, loss=1.0)
    return Measurement(
        job=JobKey(id=name, backend="hf_torch", task="imdb", question="accuracy"), status="ok",
        started_at="2026-01-01T00:00:00+00:00", seconds=1.0, recipe={}, device=CPU,
        accuracy=Accuracy(seed=42, steps=1, examples=1, training_seconds=1, first_step_seconds=1,
                          evaluation_seconds=1, scores={"test": score}, kept_step=1, curve=[],
                          evaluations=[]))


@pytest.mark.parametrize(
    ("tuned_right", "holds"), [(80, True), (78, True), (40, False), (95, True)])
def test_accuracy_holds_unless_it_is_lower_beyond_its_interval(
    tmp_path: Path, tuned_right: int, holds: bool
) -> None:
    plain = trained(tmp_path, "plain", [i < 80 for i in range(100)])
    tuned = trained(tmp_path, "tuned", [i < tuned_right for i in range(100)])
    found = tune.compare_accuracy(tmp_path, plain, tuned)
    assert found is not None
    assert (found.plain, found.tuned, found.holds) == (0.8, tuned_right / 100, holds)
    assert found.difference == pytest.approx(tuned_right / 100 - 0.8, abs=0.02)
    assert tune.compare_accuracy(tmp_path, plain, None) is None


def test_the_winner_is_a_profile_that_loads(tmp_path: Path) -> None:
    step = TuningStep(lever="bf16", against="plain", gain=2.0, gain_low=1.9, gain_high=2.1,
                      kept=True, reason=None)
    tuning = Tuning(
        backend="hf_torch", task="imdb", plain_recipe=Recipe(steps=7, dropout=0.1).model_dump(),
        tuned_fields={"precision": "bf16", "compile": True},
        tuned_environment={"OMP_NUM_THREADS": "1"}, steps=[step], gain=2.0, gain_low=1.9,
        gain_high=2.1, accuracy=None, plain_matmul_share=0.3, tuned_matmul_share=0.2)
    choice = Choice(profile="cpu", data='dir:a "quoted" folder')
    plan = make_plan(choice, load_profile("cpu"), ["imdb", "mnli"], "ftbench tune")
    file = tmp_path / "tuned.toml"
    file.write_text(tune.profile_text(tuning, plan))
    profile = load_profile(str(file))
    assert (profile.data, profile.checkpoint) == ('dir:a "quoted" folder', "minilm")
    assert profile.tasks["imdb"].train_examples == 10000
    recipe = profile.recipe_for("hf_torch", "imdb")
    assert (recipe.precision, recipe.compile, recipe.dropout) == ("bf16", True, 0.1)
    assert recipe.steps is None  # a race's number of steps is not the recipe's
    assert profile.environment == {"hf_torch": {"OMP_NUM_THREADS": "1"}}
    assert "2.00x (kept)" in file.read_text()
