"""What tuning tries and what it decides by: pure functions."""

from __future__ import annotations

import pytest

from benchmarks.harness.tune import judge
from benchmarks.harness.tune.levers import Candidate, Lever, levers
from benchmarks.harness.tune.trial import trial_of
from frameworks.contract import Recipe
from results.analysis.statistics import Interval
from results.report.sections.tuning import plain_words
from results.schema import Device, Launch, Measurement, Throughput, Window
from tests.results import samples

CPU = Device(kind="cpu", name="a processor", memory_bytes=1, cores=2)
THREADS = ("OMP_NUM_THREADS",)
BF16, BUCKETS = Lever("bf16", {"precision": "bf16"}), Lever("buckets", {"padding": "buckets"})
COMPILED = Lever("compiled", {"compile": True})


def test_levers_change_something_and_keep_the_examples_of_a_step() -> None:
    plain = Recipe(batch_size=8, accumulation=2, padding="longest")
    found = levers(plain, CPU, 2, THREADS)
    assert len({lever.name for lever in found}) == len(found)
    assert "padding to the longest" not in {lever.name for lever in found}
    for lever in found:
        recipe = Candidate((lever,)).recipe(plain)
        assert recipe != plain or lever.environment
        assert recipe.batch_size * recipe.accumulation == 16
        unchanged = ("learning_rate", "schedule", "weight_decay", "epochs", "seed", "length")
        assert all(getattr(recipe, name) == getattr(plain, name) for name in unchanged)


@pytest.mark.parametrize(("threads", "tried"), [(1, []), (2, ["1"]), (9, ["4"])])
def test_half_the_threads_are_tried(threads: int, tried: list[str]) -> None:
    found = [lever for lever in levers(Recipe(), CPU, threads, THREADS) if lever.environment]
    assert [lever.environment["OMP_NUM_THREADS"] for lever in found] == tried


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


def windows(*rates: float, examples: int = 100, rounds: int = 1000) -> list[Window]:
    """One round for each rate, of two windows; so many rounds are a launch."""
    return [
        Window(
            seconds=examples / rate,
            worker_seconds=1,
            steps=1,
            examples=examples,
            tokens=1,
            padded_tokens=1,
            launch=i // rounds,
            round=i % rounds,
        )
        for i, rate in enumerate(rates)
        for _ in range(2)
    ]


def side(*rates: float, rounds: int = 1) -> Measurement:
    """One participant's measurement, of launches of so many rounds."""
    timed = windows(*rates, rounds=rounds)
    launches = [
        Launch(number=i, build_seconds=1, first_step_seconds=1)
        for i in sorted({w.launch for w in timed})
    ]
    speed = Throughput(launches=launches, warmup=[], windows=timed, race="a race")
    return samples.measurement("hf_torch", "imdb", "throughput", payload=speed)


@pytest.mark.parametrize(
    ("second", "lost"),
    [
        ((8, 9, 9.9), True),
        ((8, 9, 10.1), False),
        ((11, 12, 13), False),
        ((8, 9), False),
        ((9, 9.1, 9, 10.1, 9, 8.9), True),  # its interval lies below 1
    ],
)
def test_a_race_ends_when_the_lever_has_lost(second: tuple[float, ...], lost: bool) -> None:
    racing = [side(*[10] * len(second)), side(*second)]
    assert judge.second_has_lost(racing) == lost and not judge.incomplete(racing)
    assert judge.second_has_lost(racing[:1]) and judge.incomplete(racing[:1])


def test_a_gain_is_of_totals_in_every_launch() -> None:
    """One window in five has long texts, and only there the second is slow: a median of windows
    would call it twice as fast."""
    gain = judge.gain_of(
        *(
            side(*rates * 3, rounds=5).require(Throughput)
            for rates in ([10.0] * 5, [20.0] * 4 + [1.0])
        )
    )
    assert gain and gain.value == pytest.approx(50 / (4 * 5 + 100)) and gain.launches == 3


@pytest.mark.parametrize(
    ("gains", "tried", "counts"),
    [
        ([1.1, 1.12, 1.11, 1.09], 1, True),
        ([1.1, 1.12, 1.11, 1.09], 10, True),
        ([1.02, 1.05, 1.03, 1.01], 1, True),
        ([1.02, 1.05, 1.03, 1.01], 10, False),
        ([1.3, 0.9, 1.2, 1.4], 1, False),
        ([1.2, 1.2], 1, False),  # two launches have no interval
    ],
)
def test_a_gain_counts_if_its_corrected_interval_lies_above_1(
    gains: list[float], tried: int, counts: bool
) -> None:
    trial = trial_of([side(*[1] * len(gains)), side(*gains)], len(gains))
    assert trial.counts(tried) == counts
    low, high = trial.interval(tried)
    assert (low is not None and low > 1) == counts and (low is None) == (high is None)
    early = trial_of([side(*[1] * len(gains)), side(*gains)], len(gains) + 1)
    assert not early.counts(tried) and early.interval() == (None, None)
    assert early.text.endswith(f"slower, ended after {len(gains)} of {len(gains) + 1} launches")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.02, "holds"),
        (-0.009, -0.001, "holds"),
        (-0.02, 0.0, "cannot_tell"),
        (-0.2, 0.1, "cannot_tell"),
        (-0.02, -0.001, "cannot_tell"),
        (-0.03, -0.011, "does_not_hold"),
    ],
)
def test_an_accuracy_holds_when_it_is_no_lower_than_the_margin(
    low: float, high: float, verdict: str
) -> None:
    assert judge.verdict(Interval(low, high), 0.01) == verdict
    assert judge.verdict(None, 0.01) == "cannot_tell"


def test_plain_words() -> None:
    recipe = Recipe(precision="tf32", length=64, padding="longest", accumulation=2, compile=True)
    assert plain_words(recipe.model_dump()) == (
        "tf32, padded to the longest of a batch, at most 64, batch 16 accumulated 2 times, compiled"
    )
    assert plain_words(Recipe(padding="buckets").model_dump()).startswith("fp32, length buckets")
