"""A rate is what its windows executed, and a ratio compares what was raced together."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analysis.speed import Rate, speed_ratio
from results.analysis.speed import rate as rate_of
from results.schema import Window
from tests.results.samples import window


def rate(windows: list[Window], race: str | None = None) -> Rate:
    return rate_of(windows, [race] * len(windows))


def test_rates_come_from_what_was_executed() -> None:
    found = rate([window(v, i) for i, v in enumerate((2.0, 4.0, 5.0))])
    assert found.windows == pytest.approx((2, 4, 5)) and found.steps_per_second == pytest.approx(4)
    assert found.samples_per_second == pytest.approx(4 * 16)
    assert found.tokens_per_second == pytest.approx(4 * 2900)
    assert found.padding_share == pytest.approx(1 - 2900 / 4096)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(1, 50)), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_rate_never_exceeds_count_over_time(cases: list[tuple[float, int]]) -> None:
    windows = [window(steps / seconds, steps=steps) for seconds, steps in cases]
    most = max(steps / seconds for seconds, steps in cases)
    assert rate(windows).steps_per_second <= most * (1 + 1e-9)


def test_a_wide_interval_is_noisy_and_a_narrow_one_is_not() -> None:
    wide, narrow = (1.0, 1.3, 0.8, 1.4, 0.7, 1.2), (1.0, 1.01, 0.99, 1.0, 1.02, 1.0)
    assert rate([window(v, i) for i, v in enumerate(wide)]).noisy
    assert not rate([window(v, i) for i, v in enumerate(narrow)]).noisy
    short = rate([window(v, i // 2) for i, v in enumerate(wide)])  # three rounds
    assert short.interval is None and not short.noisy and short.rounds == 3
    for count, has_interval in ((1, True), (2, False), (3, True)):  # launches of six rounds
        found = rate([window(v, i, launch=n) for n in range(count) for i, v in enumerate(wide)])
        assert (found.interval is not None, found.launches) == (has_interval, count)


@pytest.mark.parametrize(
    ("load", "disturbed"),
    [
        ({}, 0),
        ({"stolen_share": 0.01, "other_busy_share": 0.10}, 0),
        ({"stolen_share": 0.011}, 1),
        ({"other_busy_share": 0.11}, 1),
        ({"one_minute_load": 9}, 0),
    ],
)
def test_disturbed_windows_are_counted(load: dict[str, Any], disturbed: int) -> None:
    assert rate([window(1.0, **load), window(1.0)]).disturbed_windows == disturbed


def test_the_ratio_is_of_turns_that_both_took() -> None:
    fast = rate([window(4.0, 0), window(2.0, 1), window(9.0, 2)])
    slow = rate([window(2.0, 0), window(1.0, 1)])
    ratio = speed_ratio(fast, slow)
    assert ratio and ratio.value == pytest.approx(2.0)
    assert speed_ratio(rate([window(1.0, 0)]), rate([window(1.0, 1)])) is None
    assert speed_ratio(rate([window(1.0)]), rate([window(1.0, launch=1)])) is None


launches = st.lists(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=3),
    min_size=3,
    max_size=8,
)


@given(launches)
@settings(max_examples=40, deadline=None)
def test_over_launches_it_is_the_mean_log_of_the_ratios_of_all_seconds(
    cases: list[list[tuple[float, float]]],
) -> None:
    sides = [
        rate(
            [window(1 / c[i], r, launch=n) for n, of in enumerate(cases) for r, c in enumerate(of)]
        )
        for i in (0, 1)
    ]
    ratio, swapped = speed_ratio(*sides), speed_ratio(*reversed(sides))
    assert ratio and swapped and ratio.launches == len(cases)
    logs = [math.log(sum(b for _, b in of) / sum(a for a, _ in of)) for of in cases]
    assert ratio.logs == pytest.approx(logs)
    assert math.log(ratio.value) == pytest.approx(sum(logs) / len(logs), abs=1e-9)
    assert swapped.value == pytest.approx(1 / ratio.value) == pytest.approx(ratio.inverse.value)
    assert ratio.interval and ratio.interval.low <= ratio.value <= ratio.interval.high
    product = sides[0].steps_per_second / sides[1].steps_per_second
    assert product == pytest.approx(ratio.value)  # no rank contradicts a ratio


def test_of_a_round_that_was_taken_again_the_later_take_counts() -> None:
    first = [w.model_copy(update={"superseded": True}) for w in (window(0.1, 1), window(0.2, 1))]
    found = rate([window(1.0, 0), *first, window(2.0, 1), window(3.0, 2)])
    assert found.steps_per_second == pytest.approx(2.0) and found.rounds == 3
    assert [turn for turn, _ in found.superseded] == [(None, 0, 1)] * 2
    assert found.windows == pytest.approx((1, 2, 3))


def test_windows_of_two_races_are_no_pairs() -> None:
    """Two environments that add to one run, one after the other; or a run that was resumed."""
    first, second, old = (
        rate([window(1.0, i) for i in range(6)], race) for race in ("a", "b", None)
    )
    assert speed_ratio(first, second) is None and speed_ratio(first, old) is None
    ratio = speed_ratio(first, first)
    assert ratio and ratio.value == 1 and ratio.interval
    assert speed_ratio(old, old) == ratio  # files that name no race were measured in one


def test_speeds_are_compared_in_examples() -> None:
    """Half the batch in half the time is no faster."""
    whole = [window(1.0, i) for i in range(6)]
    half = [window(2.0, i).model_copy(update={"examples": 80}) for i in range(6)]
    ratio = speed_ratio(rate(half), rate(whole))
    assert ratio and ratio.value == pytest.approx(1)
