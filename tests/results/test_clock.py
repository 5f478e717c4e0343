"""The tax of a loop and the noise of a race: laws, and what the report makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.clock import NoisePair, fastest, noise_floors, noise_pairs, taxes, told_apart
from results.compare import SpeedRow, compare, disturbances, speed_ratio
from results.groups import Comparison, Taken
from results.report import render, table
from results.schema import Measurement, Variant
from results.statistics import Estimate, Interval
from tests.results import samples
from tests.results.samples import measurement, window

TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}
PLACE = Comparison("a", "imdb", ())
rates = st.lists(st.floats(0.01, 1e3), min_size=1, max_size=12)


def timed(backend: str, values: Sequence[float], variant: Variant = "framework",
          **changes: object) -> Measurement:
    windows = [window(value, i // 2) for i, value in enumerate(values)]
    throughput = samples.throughput(1.0).model_copy(update={"windows": windows})
    return measurement(backend, "imdb", "throughput", throughput=throughput, variant=variant,
                       **changes)


def taken(*measurements: Measurement) -> list[Taken]:
    return [Taken("a", m) for m in measurements]


def speeds(*measurements: Measurement) -> list[SpeedRow]:
    (rows,) = compare(taken(*measurements))
    return [row.speed for row in rows if row.speed]


@given(rates, st.floats(0.5, 4.0))
@settings(max_examples=40, deadline=None)
def test_a_bare_loop_that_is_always_faster_by_one_factor_shows_that_tax(
    values: list[float], factor: float
) -> None:
    """However the machine drifts, because windows are paired."""
    (tax,) = taxes(taken(timed("hf_tf", values),
                         timed("hf_tf", [factor * v for v in values], "bare")))
    assert tax.ratio and tax.ratio.value == pytest.approx(factor)
    assert tax.seconds_per_step == pytest.approx((factor - 1) / tax.bare.median, abs=1e-9)


@given(rates, rates)
@settings(max_examples=40, deadline=None)
def test_the_floor_is_no_smaller_than_the_pairs_own_difference(
    first: list[float], second: list[float]
) -> None:
    for pair in noise_pairs(taken(timed("hf_tf", first), timed("hf_tf", second, "again"))):
        ratio = pair.ratio.value
        assert pair.floor >= max(ratio, 1 / ratio) * (1 - 1e-12) >= 1 - 1e-12


@given(rates, rates)
@settings(max_examples=40, deadline=None)
def test_which_of_the_two_is_called_again_changes_no_floor(
    first: list[float], second: list[float]
) -> None:
    one, other = (noise_pairs(taken(timed("hf_tf", a), timed("hf_tf", b, "again")))
                  for a, b in ((first, second), (second, first)))
    assert [p.floor for p in one] == pytest.approx([p.floor for p in other])


@given(st.floats(1.0, 1.5), st.floats(1.0, 1.5))
@settings(max_examples=40, deadline=None)
def test_two_backends_are_told_apart_beyond_the_floor_only(factor: float, floor: float) -> None:
    first, second = speeds(timed("hf_tf", [factor * v for v in (1, 1.1, 0.9, 1)]),
                           timed("hf_torch", [1, 1.1, 0.9, 1]))
    found = told_apart(first, second, {PLACE: floor})
    if factor > max(floor, 1) * (1 + 1e-9):
        assert found == pytest.approx(factor) and fastest([second, first], {PLACE: floor}) is first
    elif factor < floor * (1 - 1e-9):
        assert found is None and fastest([second, first], {PLACE: floor}) is None


def test_the_largest_floor_of_a_comparison_counts() -> None:
    pairs = [NoisePair(PLACE, b, Estimate(1.0, Interval(low, high)))
             for b, low, high in (("hf_tf", 0.99, 1.02), ("hf_torch", 0.9, 1.01))]
    assert noise_floors(pairs) == {PLACE: pytest.approx(1 / 0.9)}
    assert noise_floors([]) == {}


def test_other_batch_sizes_race_by_samples_and_under_the_same_floor() -> None:
    first, second = speeds(timed("hf_tf", [1.0] * 4, recipe={"batch_size": 16}),
                           timed("hf_torch", [1.0] * 4, recipe={"batch_size": 8}))
    (faster,) = speeds(timed("hf_tf", [1.1] * 4))
    first = replace(first, training=faster.training)
    assert told_apart(first, second, {PLACE: 1.05}) == pytest.approx(1.1)
    assert told_apart(first, second, {PLACE: 1.15}) is None


def test_the_controls_are_no_backends() -> None:
    rows = compare(taken(timed("hf_tf", [1.0, 1.0]), timed("hf_tf", [2.0, 2.0], "bare"),
                         timed("hf_tf", [3.0, 3.0], "again")))
    assert [len(same) for same in rows] == [1] and rows[0][0].speed
    assert rows[0][0].speed.training.windows == (1.0, 1.0)


def test_without_their_partner_they_say_nothing() -> None:
    failed = measurement("hf_tf", "imdb", "throughput", status="killed", reason="signal 9")
    lonely = taken(failed, timed("hf_tf", [1.0], "bare"), timed("hf_tf", [1.0], "again"))
    assert taxes(lonely) == [] and noise_pairs(lonely) == []
    assert compare(lonely)[0][0].status("throughput") == "killed"


def test_a_varied_recipe_pairs_like_with_like() -> None:
    found = taxes(taken(*[
        timed("hf_tf", [speed, speed], variant, suffix=f"-{n}", recipe={"length": n})
        for n, speeds_ in ((128, (2.0, 3.0)), (512, (1.0, 4.0)))
        for variant, speed in zip(("framework", "bare"), speeds_, strict=True)]))
    assert {t.comparison.variant_text: t.ratio and round(t.ratio.value, 6) for t in found} == {
        "length 128": 1.5, "length 512": 4.0}


@pytest.mark.parametrize(("load", "words"), [
    ({}, []),
    ({"throttle_reasons": [], "gpu_processes": 0, "sm_clock_mhz": 1410}, []),
    ({"throttle_reasons": ["power cap"]}, ["the GPU was slowed: power cap"]),
    ({"gpu_processes": 1}, ["other processes held the GPU"]),
    ({"stolen_share": 0.5, "other_busy_share": 0.5},
     ["the hypervisor took processor time", "other work took processor time"]),
])
def test_what_disturbed_a_window(load: dict[str, object], words: list[str]) -> None:
    assert disturbances(window(1.0, **load)) == words


def report(make_run: Callable[..., Path], measurements: Sequence[Measurement]) -> str:
    return render([make_run(measurements)], titles=TITLES).markdown.read_text("utf-8")


def test_the_report_shows_tax_and_floor_and_no_control_as_a_backend(
    make_run: Callable[..., Path]
) -> None:
    plain = samples.sample_measurements(("imdb",))
    markdown = report(make_run, [*plain, *samples.controls("hf_tf", "imdb")])
    section = markdown.split("## Can the clock be trusted?")[1].split("\n## ")[0]
    assert "What the framework's own loop costs" in section and "TensorFlow" in section
    assert "How far the same thing lies from itself" in section
    assert "disturbed" in section
    assert "bare" not in markdown.split("## Can the clock be trusted?")[0]
    speed = markdown.split("## How fast?")[1].split("\n## ")[0]
    rows = [line for line in speed.splitlines() if line.startswith("| imdb")]
    assert len([row for row in rows if "TensorFlow" in row]) == 2 + 2  # two tables, two rounds
    assert "noise floor" in markdown.split("\n## ")[0]


def test_no_winner_is_named_within_the_noise(make_run: Callable[..., Path]) -> None:
    race = [timed("hf_tf", [1.04, 1.05, 1.03, 1.04]), timed("hf_torch", [1.0, 1.01, 0.99, 1.0])]
    assert "trained fastest" in report(make_run, race)


def test_with_a_noisy_pair_the_same_race_has_no_winner(make_run: Callable[..., Path]) -> None:
    race = [timed("hf_tf", [1.04, 1.05, 1.03, 1.04]), timed("hf_torch", [1.0, 1.01, 0.99, 1.0]),
            timed("hf_torch", [1.1, 1.08, 1.09, 1.1], "again")]
    markdown = report(make_run, race)
    assert "too close to tell apart" in markdown and "fastest" not in markdown
    assert "within the noise" in markdown and "**1.04" not in markdown
    text = table(race, TITLES).splitlines()
    assert text[-2].startswith("(noise floor: imdb: PyTorch against itself 0.9")
    assert len(text) == 2 + 2 + 2


def test_a_throttled_gpu_is_flagged_with_its_reason(make_run: Callable[..., Path]) -> None:
    slow = samples.throughput(1.0).model_copy(update={"windows": [
        window(1.0, throttle_reasons=["hardware thermal slowdown"]), window(1.0)]})
    markdown = report(make_run, [measurement("hf_tf", "imdb", "throughput", throughput=slow,
                                             device=samples.GPU)])
    assert "disturbed in 1 of 2 windows: the GPU was slowed: hardware thermal slowdown" in markdown


def test_the_ratio_of_a_pair_is_the_ratio_of_its_windows() -> None:
    own, again = timed("hf_tf", [1.0, 1.0, 2.0]), timed("hf_tf", [1.1, 1.1, 2.2], "again")
    (pair,) = noise_pairs(taken(own, again))
    rows = [speeds(m.model_copy(update={"job": m.job.model_copy(update={"variant": "framework"})}))
            for m in (own, again)]
    assert pair.ratio == speed_ratio(rows[0][0].training, rows[1][0].training)
