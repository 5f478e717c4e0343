"""What tuning tries and what it decides by: pure functions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.tune import judge
from benchmarks.harness.tune.levers import Candidate, Lever, levers
from frameworks.contract import Recipe
from results.analysis.statistics import Estimate, Interval
from results.report.sections.tuning import plain_words
from results.schema import Device, Window

CPU = Device(kind="cpu", name="a processor", memory_bytes=1, cores=2)
THREADS = ("OMP_NUM_THREADS",)
BF16, BUCKETS = Lever("bf16", {"precision": "bf16"}), Lever("buckets", {"padding": "buckets"})
COMPILED = Lever("compiled", {"compile": True})


def test_levers_change_something_and_keep_the_examples_of_a_step() -> None:
    plain = Recipe(batch_size=8, accumulation=2, padding="longest")
    found = levers(plain, CPU, THREADS)
    assert len({lever.name for lever in found}) == len(found)
    assert "padding to the longest" not in {lever.name for lever in found}
    for lever in found:
        recipe = Candidate((lever,)).recipe(plain)
        assert recipe != plain or lever.environment
        assert recipe.batch_size * recipe.accumulation == 16
        unchanged = ("learning_rate", "schedule", "weight_decay", "epochs", "seed", "length")
        assert all(getattr(recipe, name) == getattr(plain, name) for name in unchanged)


def test_fewer_threads_and_all_are_tried_where_there_are_two() -> None:
    counts = [
        lever.environment["OMP_NUM_THREADS"]
        for lever in levers(Recipe(), CPU, THREADS)
        if lever.environment
    ]
    assert counts == ["1", "2"]
    single = CPU.model_copy(update={"cores": 1})
    assert not any(lever.environment for lever in levers(Recipe(), single, THREADS))


def test_levers_of_the_same_field_are_not_put_together() -> None:
    both = Candidate((BF16, BUCKETS))
    assert both.differs_where(Lever("fp16", {"precision": "fp16"}))
    assert not both.differs_where(COMPILED)
    assert both.recipe(Recipe()).precision == "bf16"
    assert both.without(BF16).name == "buckets"
    assert both.best_alone.name == "bf16" and both.best_alone.best_alone.name == "plain"


def test_precision_is_the_first_to_be_dropped() -> None:
    assert Candidate((COMPILED, BUCKETS, BF16)).most_arithmetic == BF16
    assert Candidate((COMPILED, BUCKETS)).most_arithmetic == BUCKETS
    assert Candidate((COMPILED,)).most_arithmetic == COMPILED


def windows(*rates: float, examples: int = 100) -> list[Window]:
    """One round for each rate, of two windows."""
    return [
        Window(
            seconds=examples / rate,
            worker_seconds=1,
            steps=1,
            examples=examples,
            tokens=1,
            padded_tokens=1,
            round=i,
        )
        for i, rate in enumerate(rates)
        for _ in range(2)
    ]


@pytest.mark.parametrize(
    ("second", "lost"),
    [((8, 9, 9.9), True), ((8, 9, 10.1), False), ((11, 12, 13), False), ((8, 9), False)],
)
def test_a_race_ends_when_the_lever_was_slower_in_every_round_of_three(
    second: tuple[float, ...], lost: bool
) -> None:
    racing: Any = [
        SimpleNamespace(windows=windows(*[10] * len(second))),
        SimpleNamespace(windows=windows(*second)),
    ]
    assert judge.second_has_lost(racing) == lost and not judge.incomplete(racing)
    assert judge.second_has_lost(racing[:1]) and judge.incomplete(racing[:1])


def test_a_gain_is_of_totals_where_the_work_of_windows_differs() -> None:
    """One window in five has long texts, and only there the second is slow: a median of windows
    would call it twice as fast."""
    first = windows(*[10.0] * 10)
    second = [
        w
        for i, rate in enumerate([20.0] * 8 + [1.0] * 2)
        for w in (windows(rate)[0].model_copy(update={"round": i, "tokens": 7}),) * 2
    ]
    gain = judge.gain_of(first, second)
    assert gain and gain.value == pytest.approx(100 / (8 * 5 + 2 * 100))
    assert gain.interval and gain.interval.high > gain.value > gain.interval.low


def test_a_gain_counts_only_beyond_its_interval() -> None:
    assert judge.gain_counts(Estimate(1.2, Interval(1.1, 1.3)), 0.05)
    assert not judge.gain_counts(Estimate(1.2, Interval(0.9, 1.5)), 0.05)
    assert not judge.gain_counts(Estimate(1.2, None), 0.05)
    assert not judge.gain_counts(None, 0.05)


def test_a_gain_within_the_noise_is_none() -> None:
    noise = judge.noise_floor(Estimate(0.99, Interval(0.96, 1.03)))
    assert noise == pytest.approx(0.04)
    assert not judge.gain_counts(Estimate(1.03, Interval(1.01, 1.05)), noise or 0)
    assert judge.noise_floor(None) is None and judge.noise_floor(Estimate(1.0, None)) is None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.02, "holds"),
        (-0.009, -0.001, "holds"),
        (-0.02, 0.0, "cannot_tell"),
        (-0.2, 0.1, "cannot_tell"),
        (-0.02, -0.001, "does_not_hold"),
    ],
)
def test_an_accuracy_holds_when_it_is_no_lower_than_the_margin(
    low: float, high: float, verdict: str
) -> None:
    assert judge.verdict(Interval(low, high), 0.01) == verdict


def test_plain_words() -> None:
    recipe = Recipe(precision="tf32", length=64, padding="longest", accumulation=2, compile=True)
    assert plain_words(recipe.model_dump()) == (
        "tf32, padded to the longest of a batch, at most 64, batch 16 accumulated 2 times, compiled"
    )
    assert plain_words(Recipe(padding="buckets").model_dump()).startswith("fp32, length buckets")
