"""The tax of a loop and the noise of a race: laws, and what the report makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analysis.compare import compare
from results.analysis.controls import (
    NoisePair,
    doubt,
    fastest,
    noise_floors,
    noise_pairs,
    overheads,
    speed_advantage,
)
from results.analysis.groups import Comparison, Entry
from results.analysis.speed import SpeedRow, disturbances, rate, speed_ratio
from results.analysis.statistics import Estimate, Interval
from results.report import render
from results.schema import Measurement, Role
from tests.results import samples
from tests.results.samples import measurement, window

TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}
PLACE = Comparison("a", "imdb", ())
rates = st.lists(st.floats(0.01, 1e3), min_size=1, max_size=12)
RATE = rate([window(1.0)], [None])


def timed(
    backend: str,
    values: Sequence[float],
    role: Role = "framework",
    race: str | None = None,
    each: int = 1,
    **changes: object,
) -> Measurement:
    """One window of every rate, `each` of them a round."""
    windows = [window(value, i // each) for i, value in enumerate(values)]
    throughput = samples.throughput(1.0).model_copy(update={"windows": windows, "race": race})
    return measurement(backend, "imdb", "throughput", throughput=throughput, role=role, **changes)


def entries(*measurements: Measurement) -> list[Entry]:
    return [Entry("a", m) for m in measurements]


def speeds(*measurements: Measurement) -> list[SpeedRow]:
    (rows,) = compare(entries(*measurements))
    return [row.speed for row in rows if row.speed]


@given(rates, st.floats(0.5, 4.0))
@settings(max_examples=40, deadline=None)
def test_a_bare_loop_that_is_always_faster_by_one_factor_shows_that_tax(
    values: list[float], factor: float
) -> None:
    """However the machine drifts, because windows are paired."""
    (tax,) = overheads(
        entries(timed("hf_tf", values), timed("hf_tf", [factor * v for v in values], "control"))
    )
    assert tax.ratio and tax.ratio.value == pytest.approx(factor)
    assert tax.seconds_per_step == pytest.approx((factor - 1) / tax.control.median, abs=1e-9)


@given(rates, rates)
@settings(max_examples=60, deadline=None)
def test_the_floor_is_no_smaller_than_the_pairs_own_difference(
    first: list[float], second: list[float]
) -> None:
    """Fewer than six rounds give none at all, however well they agree."""
    (pair,) = noise_pairs(entries(timed("hf_tf", first), timed("hf_tf", second, "repeat")))
    assert (pair.floor is None) == (min(len(first), len(second)) < 6)
    if pair.floor is not None:
        ratio = pair.ratio.value
        assert pair.floor >= max(ratio, 1 / ratio) * (1 - 1e-12) >= 1 - 1e-12


@given(rates, rates)
@settings(max_examples=40, deadline=None)
def test_which_of_the_two_is_called_again_changes_no_floor(
    first: list[float], second: list[float]
) -> None:
    one, other = (
        noise_pairs(entries(timed("hf_tf", a), timed("hf_tf", b, "repeat")))
        for a, b in ((first, second), (second, first))
    )
    assert noise_floors(one) == {
        place: pytest.approx(floor) for place, floor in noise_floors(other).items()
    }


@given(st.floats(1.0, 1.5), st.floats(1.0, 1.5))
@settings(max_examples=40, deadline=None)
def test_two_backends_differ_beyond_the_noise_floor_only(factor: float, floor: float) -> None:
    first, second = speeds(
        timed("hf_tf", [factor * v for v in (1, 1.1, 0.9, 1, 1.2, 1)]),
        timed("hf_torch", [1, 1.1, 0.9, 1, 1.2, 1]),
    )
    found = speed_advantage(first, second, {PLACE: floor})
    if factor > max(floor, 1) * (1 + 1e-9):
        assert found == pytest.approx(factor) and fastest([second, first], {PLACE: floor}) is first
    elif factor < floor * (1 - 1e-9):
        assert found == "too close to distinguish"
        assert fastest([second, first], {PLACE: floor}) is None


@pytest.mark.parametrize(
    ("torch", "floors", "why"),
    [
        ({"race": "b"}, {PLACE: 1.01}, "not raced together"),
        ({"race": None}, {PLACE: 1.01}, "not raced together"),
        ({"race": "a", "each": 2}, {PLACE: 1.01}, "fewer than 6 rounds"),
        ({"race": "a"}, {}, "no noise floor measured"),
        ({"race": "a"}, {PLACE: 2.1}, "too close to distinguish"),
    ],
)
def test_why_no_winner_is_named(
    torch: dict[str, Any], floors: dict[Comparison, float], why: str
) -> None:
    first, second = speeds(
        timed("hf_tf", [2.0] * 6, race="a"), timed("hf_torch", [1.0] * 6, **torch)
    )
    assert speed_advantage(first, second, floors) == why
    assert fastest([second, first], floors) is None


def test_what_is_slower_for_certain_is_no_winner() -> None:
    """A rate may be the higher one in the middle, and the lower one in every pair."""
    first, second = speeds(timed("hf_tf", [1, 1, 1, 1, 1, 1]), timed("hf_torch", [2] * 6))
    assert doubt(speed_ratio(first.training, second.training), 1.01) is None
    assert speed_advantage(first, second, {PLACE: 1.01}) == "too close to distinguish"


def test_an_interval_that_holds_1_is_no_difference_with_or_without_a_floor() -> None:
    ratio = Estimate(1.2, Interval(0.9, 1.4))
    assert doubt(ratio, None) == doubt(ratio, 1.0) == "too close to distinguish"
    assert doubt(Estimate(0.7, Interval(0.6, 0.8)), 1.1) is None
    assert doubt(Estimate(0.95, Interval(0.94, 0.96)), 1.1) == "too close to distinguish"


def test_the_largest_floor_of_a_comparison_counts() -> None:
    pairs = [
        NoisePair(PLACE, b, RATE, RATE, Estimate(1.0, Interval(low, high)))
        for b, low, high in (("hf_tf", 0.99, 1.02), ("hf_torch", 0.9, 1.01))
    ]
    assert noise_floors(pairs) == {PLACE: pytest.approx(1 / 0.9)}
    short = NoisePair(PLACE, "hf_tf", RATE, RATE, Estimate(1.0, None))
    assert noise_floors([]) == noise_floors([short]) == {}


@pytest.mark.parametrize("fields", [{"batch_size": 8}, {"accumulation": 2}])
def test_steps_of_other_work_race_by_samples(fields: dict[str, int]) -> None:
    """Half the examples of a step in half its time is no faster."""
    half = timed("hf_torch", [2.2] * 6, recipe=fields)
    assert half.throughput
    windows = [w.model_copy(update={"examples": w.examples // 2}) for w in half.throughput.windows]
    half = half.model_copy(
        update={"payload": half.throughput.model_copy(update={"windows": windows})}
    )
    second, first = speeds(timed("hf_tf", [1.0] * 6), half)
    assert speed_advantage(first, second, {PLACE: 1.05}) == pytest.approx(1.1)
    assert speed_advantage(first, second, {PLACE: 1.15}) == "too close to distinguish"


def test_the_controls_are_no_backends() -> None:
    rows = compare(
        entries(
            timed("hf_tf", [1.0, 1.0]),
            timed("hf_tf", [2.0, 2.0], "control"),
            timed("hf_tf", [3.0, 3.0], "repeat"),
        )
    )
    assert [len(same) for same in rows] == [1] and rows[0][0].speed
    assert rows[0][0].speed.training.windows == (1.0, 1.0)


def test_without_their_partner_they_say_nothing() -> None:
    failed = measurement("hf_tf", "imdb", "throughput", status="killed", reason="signal 9")
    lonely = entries(failed, timed("hf_tf", [1.0], "control"), timed("hf_tf", [1.0], "repeat"))
    assert overheads(lonely) == [] and noise_pairs(lonely) == []
    assert compare(lonely)[0][0].status("throughput") == "killed"


def test_a_control_of_another_race_says_nothing() -> None:
    own, bare, again = (
        timed("hf_tf", [1.0] * 6, role, race)
        for role, race in (("framework", "a"), ("control", "b"), ("repeat", "b"))
    )
    (tax,) = overheads(entries(own, bare))
    assert tax.ratio is None and tax.seconds_per_step is None
    assert noise_pairs(entries(own, again)) == []


def test_a_varied_recipe_pairs_like_with_like() -> None:
    found = overheads(
        entries(
            *[
                timed("hf_tf", [speed, speed], role, suffix=f"-{n}", recipe={"length": n})
                for n, speeds_ in ((128, (2.0, 3.0)), (512, (1.0, 4.0)))
                for role, speed in zip(("framework", "control"), speeds_, strict=True)
            ]
        )
    )
    assert {t.comparison.varied_text: t.ratio and round(t.ratio.value, 6) for t in found} == {
        "length 128": 1.5,
        "length 512": 4.0,
    }


@pytest.mark.parametrize(
    ("load", "words"),
    [
        ({}, []),
        ({"throttle_reasons": [], "gpu_processes": 0, "sm_clock_mhz": 1410}, []),
        ({"throttle_reasons": ["power cap"]}, ["the GPU was slowed: power cap"]),
        (
            {"throttle_reasons": [], "throttled_shares": {"power cap": 0.2, "thermal": 0.04}},
            ["the GPU was slowed: power cap"],
        ),
        ({"gpu_processes": 1}, ["other processes held the GPU"]),
        (
            {"stolen_share": 0.5, "other_busy_share": 0.5},
            ["the hypervisor took processor time", "other work took processor time"],
        ),
    ],
)
def test_what_disturbed_a_window(load: dict[str, object], words: list[str]) -> None:
    assert disturbances(window(1.0, **load)) == words


def report(make_run: Callable[..., Path], measurements: Sequence[Measurement]) -> str:
    return render([make_run(measurements)], titles=TITLES).markdown.read_text("utf-8")


def speed_section(markdown: str) -> str:
    return markdown.split("## How fast?")[1].split("\n## ")[0]
