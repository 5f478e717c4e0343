"""Laws and known values of the statistics."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from results.analysis import statistics as s

rates = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=40)
several = st.lists(st.floats(0.01, 1e4), min_size=6, max_size=40)
counts = st.integers(0, 300)


@given(several)
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_the_median_and_stays_in_the_data(values: list[float]) -> None:
    interval = s.median_interval(values)
    assert interval
    assert min(values) <= interval.low <= s.median(values) <= interval.high <= max(values)


@given(several, st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_interval_does_not_hang_on_the_order(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert s.median_interval(shuffled) == s.median_interval(values)


@given(several, st.sampled_from([2.0, 0.25, 1024.0]))
@settings(max_examples=30, deadline=None)
def test_the_interval_scales_with_the_unit(values: list[float], factor: float) -> None:
    one, other = s.median_interval(values), s.median_interval([factor * v for v in values])
    assert one and other
    assert other.low == pytest.approx(factor * one.low)
    assert other.high == pytest.approx(factor * one.high)


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=5))
def test_fewer_than_six_values_have_no_interval(values: list[float]) -> None:
    """The span of five holds the median in 30 of 32 cases: less than 95 in 100."""
    assert s.median_interval(values) is None
    assert s.paired_ratio(values, values).interval is None
    rounds = [i for i in range(len(values)) for _ in range(3)]  # nor have 15 windows of 5 rounds
    assert s.paired_ratio(values * 3, values * 3, rounds).interval is None


def test_one_value_has_no_interval_of_its_mean() -> None:
    assert s.mean_estimate([3.0]).interval is None


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.inf]])
def test_no_statistics_of_nothing(values: list[float]) -> None:
    for function in (s.median, s.quartiles, s.median_interval, s.mean_estimate):
        with pytest.raises(ValueError, match="no finite values"):
            function(values)


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(300):
        interval = s.median_interval(list(generator.lognormal(0.0, 0.5, 25)))
        assert interval
        hits += interval.low <= 1.0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.99


@given(rates)
def test_quartiles_lie_round_the_median(values: list[float]) -> None:
    low, high = s.quartiles(values)
    assert low <= s.median(values) <= high


def coverage(windows: int, lasting: float, by_round: bool) -> float:
    """How often the interval of a ratio holds the truth, 1, where a disturbance of `lasting`
    stays for a whole round of so many windows, in 6 rounds."""
    generator, hits = np.random.default_rng(11), 0
    rounds = np.repeat(np.arange(6), windows)
    for _ in range(400):
        noise = generator.normal(0, lasting, 6)[rounds] + generator.normal(0, 0.01, len(rounds))
        ratio = s.paired_ratio(
            np.exp(noise).tolist(), [1.0] * len(rounds), rounds.tolist() if by_round else None
        )
        assert ratio.interval
        hits += ratio.interval.low <= 1 <= ratio.interval.high
    return hits / 400


@pytest.mark.parametrize("windows", [1, 2, 3])
@pytest.mark.parametrize("lasting", [0.0, 0.01, 0.05])
def test_the_interval_holds_the_truth_also_where_a_disturbance_lasts_a_round(
    windows: int, lasting: float
) -> None:
    assert 0.94 <= coverage(windows, lasting, by_round=True) <= 0.99


def test_windows_of_a_round_taken_as_independent_would_not() -> None:
    assert coverage(3, 0.05, by_round=False) < 0.85


@given(
    st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(0.01, 1e4)), min_size=6, max_size=30),
    st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_swapping_a_ratio_gives_its_reciprocal(
    pairs: list[tuple[float, float]], windows: int
) -> None:
    first, second = zip(*pairs, strict=True)
    rounds = [i // windows for i in range(len(pairs))]
    one = s.paired_ratio(first, second, rounds)
    other = s.paired_ratio(second, first, rounds)
    assert one.value == pytest.approx(1 / other.value)
    assert (one.interval is None) == (other.interval is None) == (len(set(rounds)) < 6)
    if one.interval and other.interval:
        assert one.interval.low == pytest.approx(1 / other.interval.high)
        assert one.interval.high == pytest.approx(1 / other.interval.low)
        assert one.interval.low <= one.value * (1 + 1e-12)
        assert one.value <= one.interval.high * (1 + 1e-12)


def test_a_round_counts_once_however_many_windows_it_has() -> None:
    rounds = [0, 0, 0, 0, 1, 2, 3, 4, 5]
    first = [9.0, 9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert s.paired_ratio(first, [1.0] * 9, rounds).value == pytest.approx(1.0)
    assert s.per_round([1.0, 3.0, 7.0], [0, 0, 1]) == [2.0, 7.0]


def test_pairing_takes_out_what_slows_both() -> None:
    slow_down = np.linspace(1, 0.5, 20)
    ratio = s.paired_ratio(list(3 * slow_down), list(2 * slow_down))
    assert ratio.value == pytest.approx(1.5)
    assert ratio.interval and ratio.interval.width < 1e-9


def test_windows_that_are_not_pairs() -> None:
    with pytest.raises(ValueError, match="not pairs"):
        s.paired_ratio([1.0], [1.0, 2.0])


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


totals = st.lists(
    st.tuples(*[st.tuples(st.floats(1, 1e3), st.floats(0.01, 1e3))] * 2), min_size=1, max_size=20
)


@given(totals)
@settings(max_examples=60, deadline=None)
def test_a_ratio_of_totals_is_one_of_sums(rounds: list) -> None:
    first, second = zip(*rounds, strict=True)
    one, other = s.ratio_of_totals(first, second), s.ratio_of_totals(second, first)
    rates = [sum(a for a, _ in side) / sum(t for _, t in side) for side in (first, second)]
    assert one.value == pytest.approx(rates[0] / rates[1])
    assert one.value == pytest.approx(1 / other.value)
    assert (one.interval is None) == (len(rounds) < 6)
    if one.interval and other.interval:
        assert one.interval.low <= one.interval.high
        assert one.interval.low == pytest.approx(1 / other.interval.high)


@given(totals)
@settings(max_examples=20, deadline=None)
def test_what_does_the_same_is_as_fast(rounds: list) -> None:
    first = [pair[0] for pair in rounds]
    slower = [(amount, 2 * seconds) for amount, seconds in first]
    assert s.ratio_of_totals(first, first).value == 1
    half = s.ratio_of_totals(slower, first)
    assert half.value == pytest.approx(0.5)
    assert half.interval is None or half.interval.width < 1e-9


def test_the_interval_of_a_ratio_of_few_rounds_covers_the_truth() -> None:
    """Work that differs from round to round, and a machine that slows both sides of one."""
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(300):
        amounts = generator.uniform(80, 120, (2, 6))
        seconds = amounts * generator.lognormal(0, 0.05, (2, 6)) * generator.lognormal(0, 0.1, 6)
        interval = s.ratio_of_totals(
            *(list(zip(a, t, strict=True)) for a, t in zip(amounts, seconds, strict=True))
        ).interval
        assert interval
        hits += interval.low <= 1 <= interval.high
    assert 0.90 <= hits / 300 <= 0.99


@pytest.mark.parametrize("second", [[(1.0, 1.0)], [(1.0, 0.0)] * 2, [(1.0, math.nan)] * 2])
def test_totals_that_are_no_pairs(second: list) -> None:
    with pytest.raises(ValueError):
        s.ratio_of_totals([(1.0, 1.0)] * 2, second)


@given(counts, counts, st.integers(1, 1000))
def test_a_mean_difference_of_one_seed_is_the_paired_one(a: int, b: int, rest: int) -> None:
    mean = s.mean_difference([1.0] * a + [-1.0] * b + [0.0] * rest)
    paired = s.paired_difference(a, b, a + b + rest)
    assert mean.interval and paired.interval
    assert (mean.value, mean.interval.low, mean.interval.high) == pytest.approx(
        (paired.value, paired.interval.low, paired.interval.high)
    )
