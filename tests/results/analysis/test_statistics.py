"""Laws and known values of the statistics."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, sem, t, ttest_1samp

from results.analysis import statistics as s

rates = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=40)
several = st.lists(st.floats(0.01, 1e4), min_size=6, max_size=40)
counts = st.integers(0, 300)


@given(several)
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_the_median_and_stays_in_the_data(values: list[float]) -> None:
    bounds = s.median_bounds(np.array(values))
    assert bounds
    assert min(values) <= bounds[0] <= s.median(values) <= bounds[1] <= max(values)


@pytest.mark.parametrize(
    ("count", "level", "place"),
    [
        (5, 0.95, None),  # the span of five holds the median in 30 of 32 cases
        (6, 0.95, 1),
        (8, 0.95, 1),
        (9, 0.95, 2),
        (11, 0.95, 2),
        (12, 0.95, 3),
        (6, 0.975, None),
        (9, 0.975, 1),
    ],
)
def test_the_interval_of_a_median_is_two_of_the_values(
    count: int, level: float, place: int | None
) -> None:
    bounds = s.median_bounds(np.arange(count, 0, -1), level)
    assert (bounds and tuple(bounds)) == (place and (place, count + 1 - place))


@pytest.mark.parametrize("count", [9, 12, 25])
def test_it_covers_the_true_median_whatever_the_distribution(count: int) -> None:
    values = np.random.default_rng(7).standard_cauchy((4000, count))
    bounds = s.median_bounds(values)
    assert bounds and 0.94 <= np.mean((bounds[0] <= 0) & (bounds[1] >= 0)) <= 0.985


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=12))
@settings(max_examples=40, deadline=None)
def test_students_interval_is_scipys_and_agrees_with_its_test(values: list[float]) -> None:
    sample = np.array(values)
    if sample.std() < 1e-6:
        return
    low, high = s.mean_bounds(sample, 0.985)
    other = t.interval(0.985, len(values) - 1, sample.mean(), sem(sample))
    assert (low, high) == pytest.approx(other, rel=1e-9, abs=1e-9)
    p_value = s.mean_p_value(values)
    assert p_value == pytest.approx(ttest_1samp(values, 0).pvalue, abs=1e-9)
    if abs(p_value - 0.015) > 1e-6:
        assert (p_value < 0.015) == (low > 0 or high < 0)


def test_values_that_are_all_the_same_are_certain() -> None:
    assert s.mean_p_value([0.0, 0.0]) == 1 and s.mean_p_value([0.5, 0.5]) == 0
    assert s.mean_bounds(np.array([2.0, 2.0])) == (2, 2)


def test_holm_by_hand() -> None:
    assert s.holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert s.holm([0.04]) == [True] and s.holm([0.06]) == [False] and s.holm([]) == []
    assert s.holm([0.03, 0.02]) == [True, True] and s.holm([0.03, 0.04]) == [False, False]


def test_one_value_has_no_interval_of_its_mean() -> None:
    assert s.mean_estimate([3.0]).interval is None


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.inf]])
def test_no_statistics_of_nothing(values: list[float]) -> None:
    for function in (s.median, s.quartiles, s.mean_p_value, s.mean_estimate):
        with pytest.raises(ValueError, match="no finite values"):
            function(values)


@given(rates)
def test_quartiles_lie_round_the_median(values: list[float]) -> None:
    low, high = s.quartiles(values)
    assert low <= s.median(values) <= high


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(case: tuple[int, int]) -> None:
    correct, total = case
    interval = s.wilson(correct, total)
    assert 0 <= interval.low <= correct / total <= interval.high <= 1
    assert interval.width > 0


def test_wilson_known_value() -> None:
    interval = s.wilson(81, 263)  # Newcombe 1998, table I
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(("correct", "total"), [(-1, 3), (4, 3), (0, 0)])
def test_wilson_of_what_is_not_a_share(correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="not a share"):
        s.wilson(correct, total)


@given(counts, counts)
def test_mcnemar_is_symmetric_and_a_chance(a: int, b: int) -> None:
    p = s.mcnemar(a, b)
    assert p == s.mcnemar(b, a) and 0 <= p <= 1


@given(counts)
def test_mcnemar_of_an_even_split_says_nothing(a: int) -> None:
    assert s.mcnemar(a, a) == 1.0


@given(st.integers(0, 600), st.integers(0, 600))
def test_mcnemar_is_the_exact_sum(a: int, b: int) -> None:
    tail = sum(math.comb(a + b, k) for k in range(min(a, b) + 1))
    exact = float(min(Fraction(1), Fraction(2 * tail, 2 ** (a + b))))
    assert s.mcnemar(a, b) == pytest.approx(exact, rel=1e-9, abs=1e-300)


@given(st.integers(1, 20_000), st.floats(0, 1))
def test_wilson_is_scipys(total: int, share: float) -> None:
    correct = round(share * total)
    other = binomtest(correct, total).proportion_ci(method="wilson")
    own = s.wilson(correct, total)
    assert (own.low, own.high) == pytest.approx((other.low, other.high), abs=1e-9)


def test_mcnemar_known_values() -> None:
    assert s.mcnemar(0, 6) == pytest.approx(2 / 64)
    assert s.mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert s.mcnemar(2000, 3000) < 1e-40  # large counts neither overflow nor end at 0 by chance


@given(counts, counts, st.integers(1, 1000))
def test_the_paired_difference_holds_itself(a: int, b: int, rest: int) -> None:
    estimate = s.paired_difference(a, b, a + b + rest)
    other = s.paired_difference(b, a, a + b + rest)
    assert estimate.interval and other.interval
    assert estimate.value == -other.value
    assert estimate.interval.low == pytest.approx(-other.interval.high)
    assert -1 <= estimate.interval.low <= estimate.interval.high <= 1


def test_student_t_known_values() -> None:
    for degrees, quantile in (
        (1, 12.706),
        (2, 4.303),
        (10, 2.228),
        (11, 2.201),
        (30, 2.042),
        (120, 1.980),
    ):
        assert s.student_t(degrees) == pytest.approx(quantile, abs=1.5e-3)
    assert s.student_t(1) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-9)
    assert s.student_t(2) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-9)


def test_mean_over_three_seeds() -> None:
    estimate = s.mean_estimate([0.90, 0.91, 0.92])
    assert estimate.value == pytest.approx(0.91) and estimate.interval
    assert estimate.interval.width / 2 == pytest.approx(4.302652729911275 * 0.01 / math.sqrt(3))


def test_macro_f1_by_hand() -> None:
    labels, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    assert s.macro_f1(labels, said, 3) == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)


def test_macro_f1_counts_a_label_that_is_never_said() -> None:
    assert s.macro_f1(np.array([0, 0, 1]), np.array([0, 0, 0]), 2) == pytest.approx(0.4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_f1_interval_holds_the_score(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, 400)
    said = np.where(generator.random(400) < 0.8, labels, generator.integers(0, 3, 400))
    interval = s.macro_f1_interval(labels, said, 3)
    assert interval.low <= s.macro_f1(labels, said, 3) <= interval.high
    assert 0.03 < interval.width < 0.15
