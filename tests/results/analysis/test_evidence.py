"""Evidence about accuracies: published examples, laws, and error rates by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.studies.accuracy_verdicts import Case, rates
from results import scores
from results.analysis.accuracy import evidence
from results.schema import FEWEST_SEEDS

# Darwin's maize, crossed minus self-fertilised, in eighths of an inch, by which Fisher (The Design of
# Experiments, 1935, section 21) introduced the test: 835 + 28 of 2^15 sums lie at least as high.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def right(seed: int, seeds: int = 6, examples: int = 400, share: float = 0.9) -> np.ndarray:
    return np.random.default_rng(seed).random((seeds, examples)) < share


def test_the_sign_flip_test_gives_fishers_figure() -> None:
    assert evidence.sign_flip(np.array(MAIZE, dtype=float)) == pytest.approx(2 * 863 / 2**15)


def test_many_seeds_are_tested_by_random_flips() -> None:
    many = np.tile(np.array(MAIZE, dtype=float), 2)
    p_value = evidence.sign_flip(many)
    assert p_value == evidence.sign_flip(many) < 2 * 863 / 2**15


@pytest.mark.parametrize("seeds", range(1, 9))
def test_the_smallest_p_value_needs_six_seeds(seeds: int) -> None:
    p_value = evidence.sign_flip(np.full(seeds, 0.01))
    assert p_value == 2 / 2**seeds
    assert (p_value <= 0.05) == (seeds >= FEWEST_SEEDS)


def test_without_variance_of_examples_the_interval_is_students() -> None:
    """Every example answers alike, so only the seeds vary: the t interval of their means."""
    by_seed = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    mean = evidence.crossed_mean(np.tile(by_seed[:, None], (1, 50)))
    half = 2.7764451 * by_seed.std(ddof=1) / np.sqrt(5)
    assert mean.degrees == pytest.approx(4)
    assert mean.interval().high - mean.value == pytest.approx(half)


def test_without_variance_of_seeds_it_is_students_over_examples() -> None:
    by_example = right(0, 1, 30)[0].astype(float)
    mean = evidence.crossed_mean(np.tile(by_example, (4, 1)))
    half = 2.0452296 * by_example.std(ddof=1) / np.sqrt(30)
    assert mean.degrees == pytest.approx(29)
    assert mean.interval().high - mean.value == pytest.approx(half)


@given(st.integers(0, 50), st.integers(2, 7), st.floats(0.001, 0.2))
@settings(max_examples=30, deadline=None)
def test_swapping_the_backends_mirrors_the_comparison(seed: int, seeds: int, margin: float) -> None:
    first, second = right(seed, seeds, 60), right(seed + 1000, seeds, 60, 0.8)
    one = evidence.compare(first, second, margin)
    other = evidence.compare(second, first, margin)
    assert one.verdict == other.verdict
    assert one.difference == pytest.approx(-other.difference)
    assert one.interval.low == pytest.approx(-other.interval.high)
    assert one.p_value == other.p_value
    assert one.first_better == pytest.approx(1 - other.first_better)


def test_the_same_answers_are_equivalent() -> None:
    answers = right(1)
    found = evidence.compare(answers, answers, margin=0.001)
    assert (found.verdict, found.difference, found.p_value) == ("equivalent", 0.0, 1.0)
    assert found.first_better == 0.5


def test_a_clear_difference_needs_six_seeds() -> None:
    better, worse = right(1, share=0.95), right(2, share=0.7)
    assert evidence.compare(better, worse, 0.01).verdict == "different"
    five = evidence.compare(better[:5], worse[:5], 0.01)
    assert five.verdict == "unknown"
    assert five.seeds_needed == FEWEST_SEEDS


def test_a_difference_inside_the_margin_is_equivalent_although_it_is_real() -> None:
    first = right(1, examples=2000)
    second = first.copy()
    second[:, np.flatnonzero(first.all(axis=0))[:10]] = False  # half a point, always
    found = evidence.compare(first, second, margin=0.02)
    assert found.interval.low > 0 and found.p_value <= 0.05
    assert found.verdict == "equivalent"


def test_what_is_needed_would_decide() -> None:
    """Trainings that differ by a point, on 10,000 examples: five show equivalence within a point,
    because 2.13 * 1.02 / sqrt(5) < 1 < 2.35 * 1.02 / sqrt(4)."""
    mean = evidence.CrossedMean(0.0, 3, 10_000, 1e-4, 0.0, 0.05, degrees=2)
    seeds, examples = evidence.needed(mean, margin=0.01)
    assert (seeds, examples) == (5, None)  # no number of examples makes three seeds enough


def test_no_number_of_seeds_makes_up_for_too_few_examples() -> None:
    """Seeds that agree on every one of 20 examples: only other examples can tell."""
    first = np.tile(right(1, 1, 20, 0.6), (6, 1))
    second = np.tile(right(2, 1, 20, 0.6), (6, 1))
    found = evidence.compare(first, second, margin=0.01)
    assert found.verdict == "unknown"
    assert found.seeds_needed is None and found.examples_needed


@pytest.mark.parametrize(
    ("first", "second", "margin"),
    [(right(1), right(1)[:5], 0.01), (right(1)[:1], right(2)[:1], 0.01), (right(1), right(2), 0.0)],
)
def test_what_cannot_be_compared_raises(
    first: np.ndarray, second: np.ndarray, margin: float
) -> None:
    with pytest.raises(ValueError):
        evidence.compare(first, second, margin)


def test_a_training_that_predicts_one_label_collapsed() -> None:
    assert evidence.collapsed(np.array([2, 2, 2]))
    assert not evidence.collapsed(np.array([2, 1, 2]))


def test_agreement_between_backends_and_between_seeds() -> None:
    first = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1]])
    assert evidence.agreement(first, first[::-1]) == pytest.approx((3 + 4 + 3) / 12)
    assert evidence.agreement_between_seeds(first) == pytest.approx((3 + 3 + 2) / 12)
    assert evidence.agreement_between_seeds(first[:1]) is None


@pytest.mark.parametrize(
    "case", [Case(3, 300, 0.1), Case(6, 500, 0.0), Case(6, 500, 0.05)], ids=lambda c: str(c.seeds)
)
def test_the_error_rates_hold_in_a_simulation(case: Case) -> None:
    """Few repetitions: the bounds allow for three standard errors around 95 % and 5 %."""
    found = rates(case, repetitions=200, bootstrap=False)
    assert found.coverage >= 0.90
    assert found.false_different <= 0.096
    assert found.false_equivalent <= 0.096


def test_weighted_f1_and_matthews_by_hand() -> None:
    labels, predicted = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 2, 1, 0, 0, 1])
    counts = scores.confusion(labels, predicted, 3)
    assert scores.weighted_f1(counts) == pytest.approx(4 / 15)  # 2 of 6 times F1 4/5, else 0
    two = scores.confusion(np.array([1, 1, 1, 0]), np.array([1, 0, 1, 1]), 2)
    # (TP TN - FP FN) / sqrt(...) = (2 * 0 - 1 * 1) / sqrt(3 * 3 * 1 * 1)
    assert scores.matthews(two) == pytest.approx(-1 / 3)
    assert scores.matthews(np.array([[3, 0], [1, 0]])) == 0.0


def test_weighted_f1_counts_labels_by_how_often_they_occur() -> None:
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    counts = scores.confusion(labels, predicted, 2)
    assert scores.weighted_f1(counts) == pytest.approx(0.75 * 6 / 7)
    assert scores.macro_f1(counts) == pytest.approx(0.5 * 6 / 7)


def test_calibration_by_hand() -> None:
    """Ten answers of confidence 0.9, of which seven are right: off by 0.2."""
    logits = np.tile(np.log([0.9, 0.1]), (10, 1))
    labels = np.array([0] * 7 + [1] * 3)
    assert scores.calibration_error(logits, labels) == pytest.approx(0.2)
    sure = np.tile([100.0, 0.0], (4, 1))
    assert scores.calibration_error(sure, np.zeros(4, dtype=int)) == pytest.approx(0.0)
