"""The certificate: which differences of two traces it reports."""

from __future__ import annotations

import dataclasses
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.equivalence import bounds, compare
from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.count_sketch import sketches
from benchmarks.harness.errors import UserError
from results.schema import Certificate
from tests.harness.equivalence.made_traces import (
    STEPS,
    made,
    made_arrays,
    made_trace,
    weights,
)

pytestmark = pytest.mark.smoke


def test_a_trace_agrees_with_itself() -> None:
    found = certify(made(), made(backend="hf_tf"))
    assert found.holds and found.failed_first is None and found.likely_cause is None
    assert found.verdict == (
        "same work: proven to 1e-5 over 12 steps (fp32, 2 epochs, accumulation 1)"
    )
    assert [check.name for check in found.checks] == [
        "recipe",
        "steps",
        "batches",
        "starting weights",
        "starting logits",
        "loss",
        "gradient norm",
        "learning rate",
        "first update",
        "weights",
        "final logits",
        "labels",
        "clipping",
    ]
    assert found.clipped_steps == 6 and found.loss_differences == [0.0] * STEPS


LISTS = {
    "loss": ("loss", bounds.LOSS, False),
    "gradient_norm": ("gradient norm", bounds.GRADIENT_NORM, True),
    "learning_rate": ("learning rate", bounds.LEARNING_RATE, True),
}


@given(
    st.sampled_from(sorted(LISTS)), st.integers(1, STEPS - 1), st.floats(0.01, 100), st.booleans()
)
@settings(max_examples=60)
def test_what_is_beyond_its_bound_at_any_step_is_caught_and_named(
    field: str, index: int, factor: float, upwards: bool
) -> None:
    name, bound, relative = LISTS[field]
    if abs(factor - 1) < 0.01:
        return  # on the bound itself rounding decides
    values = list(getattr(made_trace(), field))
    change = factor * bound * (values[index] if relative else 1)
    values[index] += change if upwards else -change
    found = certify(made(), made(made_trace(**{field: values})))
    assert found.holds == (factor < 1), found.verdict
    if factor > 1:
        failed = next(c for c in found.checks if not c.passed)
        assert (found.failed_first, failed.name, failed.step) == (name, name, index + 1)
        assert f"{name} differs from step {index + 1} on" in found.verdict


@given(
    st.sampled_from(["bert.layer.weight", "bert.LayerNorm.bias", "classifier.weight"]),
    st.sampled_from(["start", "update", "end"]),
    st.integers(0, 10**6),
)
@settings(max_examples=40)
def test_a_tensor_that_is_off_is_named(tensor: str, stage: str, seed: int) -> None:
    origin = {"start": weights(), "update": weights(2, 1e-5), "end": weights(3)}[stage]
    bound = {"start": bounds.START_WEIGHTS, "update": bounds.FIRST_UPDATE, "end": bounds.WEIGHTS}[
        stage
    ]
    noise = np.random.default_rng(seed).standard_normal(origin[tensor].shape)
    # A sketch's norm is right to about 9 %, the update's is cleared of rounding first.
    rounding = compare.ULP * np.linalg.norm(weights()[tensor]) if stage == "update" else 0.0
    size = 2 * bound * (np.linalg.norm(origin[tensor]) + compare.SMALL_NORM * (stage != "update"))
    noise *= (size + 2 * rounding) / np.linalg.norm(noise)
    changed = sketches({**origin, tensor: origin[tensor] + noise})
    found = certify(made(), made(arrays=made_arrays(**{stage: changed})))
    failed = [c for c in found.checks if not c.passed]
    assert [c.name for c in failed] == [
        {"start": "starting weights", "update": "first update", "end": "weights"}[stage]
    ]
    assert failed[0].where == tensor
    assert failed[0].step == (2 if stage == "update" else None)


def test_logits_and_labels() -> None:
    arrays = made_arrays()
    off = arrays.start_logits.copy()
    off[7, 1] += 3e-5
    found = certify(made(), made(arrays=dataclasses.replace(arrays, start_logits=off)))
    assert found.failed_first == "starting logits"
    assert "evaluation example 8" in found.verdict
    turned = arrays.end_logits.copy()
    turned[3] = -turned[3]
    found = certify(made(), made(arrays=dataclasses.replace(arrays, end_logits=turned)))
    assert [c.name for c in found.checks if not c.passed] == ["final logits", "labels"]
    assert found.checks[-2].worst == pytest.approx(0.98)


@pytest.mark.parametrize(
    ("size", "difference", "holds"),
    [
        (0.5, 1.5e-6, True),
        (0.5, 4e-6, False),
        (3.0, 4e-6, True),
        (3.0, 8e-6, False),
        (30.0, 8e-6, True),
        (30.0, 1.5e-5, False),
    ],
)
def test_large_starting_logits_may_round_more(size: float, difference: float, holds: bool) -> None:
    logits = np.full((50, 3), size)
    other = logits + difference
    assert (
        certify(
            made(arrays=made_arrays(start_logits=logits)),
            made(arrays=made_arrays(start_logits=other)),
        ).holds
        == holds
    )


def test_a_batch_that_differs_comes_before_all_that_follows_from_it() -> None:
    digests = list(made_trace().batches)
    digests[4] = "f" * 64
    other = made_trace(batches=digests, loss=[2.0] * STEPS)
    found = certify(made(), made(other))
    assert found.failed_first == "loss"  # already at step 1, before the batch
    logits = made_arrays(start_logits=made_arrays().end_logits)
    first = made_trace(batches=["f" * 64, *digests[1:]])
    assert certify(made(), made(first, logits)).failed_first == "batches"
    found = certify(made(), made(made_trace(batches=digests)))
    assert found.failed_first == "batches" and "from step 5 on (batch 5)" in found.verdict
    assert not certify(made(), made(made_trace(batches=digests[:-1]))).holds
    assert not certify(
        made(made_trace(batches=[], batch_steps=[])), made(made_trace(batches=[], batch_steps=[]))
    ).holds


def test_the_earliest_step_is_reported_first() -> None:
    losses, rates = list(made_trace().loss), list(made_trace().learning_rate)
    losses[8:], rates[5] = [9.0] * 4, 7.0
    found = certify(made(), made(made_trace(loss=losses, learning_rate=rates)))
    assert found.failed_first == "learning rate" and "schedule" in (found.likely_cause or "")


@pytest.mark.parametrize("bad", [nan, inf])
def test_what_is_no_number_never_agrees(bad: float) -> None:
    losses = [*made_trace().loss[:-1], bad]
    for one, other in (
        (made(), made(made_trace(loss=losses))),
        (made(made_trace(loss=losses)),) * 2,
    ):
        found = certify(one, other)
        assert not found.holds and found.failed_first == "loss"
        assert Certificate.model_validate_json(found.model_dump_json()).failed_first == "loss"
    logits = made_arrays().end_logits.copy()
    logits[0, 0] = bad
    arrays = dataclasses.replace(made_arrays(), end_logits=logits)
    assert not certify(made(arrays=arrays), made(arrays=arrays)).holds


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 10, "loss": made_trace().loss[:10]},
        {"gradient_norm": made_trace().loss[:3]},
        {"learning_rate": []},
    ],
)
def test_a_trace_that_misses_steps_proves_nothing(changes: dict[str, object]) -> None:
    """Not even next to another that misses the same."""
    short = made(made_trace(**changes), backend="hf_tf")
    for one in (made(), short):
        found = certify(one, short)
        assert found.failed_first == "steps", found.verdict
        assert "steps differ (hf_tf recorded the" in found.verdict
        assert "expected 12" in found.verdict


def test_what_was_not_kept_does_not_agree() -> None:
    empty = made(made_trace(steps=0, loss=[], gradient_norm=[], learning_rate=[]), steps=0)
    failed = {check.name for check in certify(empty, empty).checks if not check.passed}
    assert failed == {"loss", "gradient norm", "learning rate", "clipping"}
    logits = np.zeros((0, 3), np.float32)
    none = made(arrays=made_arrays(start_logits=logits, end_logits=logits))
    failed = {check.name for check in certify(none, none).checks if not check.passed}
    assert failed == {"starting logits", "final logits", "labels"}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (2.0, "no step of hf_tf was clipped at max_gradient_norm 2.0: set it"),
        (0.4, "every step of hf_tf was clipped at max_gradient_norm 0.4: set it"),
        (0.0, "no step of hf_tf was clipped"),
    ],
)
def test_a_certificate_needs_some_steps_clipped_and_some_not(limit: float, expected: str) -> None:
    found = certify(*(made(backend=b, max_gradient_norm=limit) for b in ("hf_tf", "hf_torch")))
    assert not found.holds and found.failed_first == "clipping"
    assert found.verdict.startswith(f"same work: not proven: {expected}"), found.verdict
    assert "the median norm, 1" in found.verdict
    assert [c.name for c in found.checks if not c.passed] == ["clipping"]


def test_both_traces_have_to_clip() -> None:
    quiet = made(made_trace(gradient_norm=[0.1] * STEPS), backend="hf_tf")
    failed = {c.name: c.where for c in certify(made(), quiet).checks if not c.passed}
    assert set(failed) == {"gradient norm", "clipping"} and "hf_tf" in str(failed["clipping"])


def test_a_norm_that_each_side_derived_may_differ_by_rounding_only() -> None:
    derived = made_trace(calibration_norms=[0.9, 1.1])
    one = made(derived)
    found = certify(one, made(derived, max_gradient_norm=1.00001))
    assert found.holds, found.verdict
    assert "gradients were clipped at 1, the median norm of the first 2 steps" in found.notes
    found = certify(one, made(derived, max_gradient_norm=1.001))
    assert found.verdict.startswith(
        "same work: not proven: the median norms of the first steps differ, 1 and 1.001"
    )
    for other in (made_trace(), derived):  # one that was given is compared as any field
        given = dataclasses.replace(made(made_trace(), max_gradient_norm=1.00001))
        assert certify(made(other), given).failed_first == "recipe"


def test_recipes_are_compared_but_for_how_it_is_computed() -> None:
    assert certify(made(), made(attention="sdpa")).holds
    found = certify(made(), made(weight_decay=0.01))
    assert "weight_decay: 0.1 against 0.01" in found.verdict
    with pytest.raises(UserError, match="different tasks"):
        certify(made(), dataclasses.replace(made(), task="imdb"))


def test_whole_weights_are_used_where_both_have_them() -> None:
    whole = weights(3)
    one = made(arrays=made_arrays(weights=whole))
    assert certify(one, made()).weights_compared == "sketch"
    found = certify(one, one)
    assert found.weights_compared == "exact" and found.holds
    off = {**whole, "bert.layer.weight": whole["bert.layer.weight"] * (1 + 2e-4)}
    found = certify(one, made(arrays=made_arrays(weights=off)))
    assert found.failed_first == "weights" and "bert.layer.weight" in found.verdict


def test_the_keys_bias_is_exempt_and_said_so() -> None:
    other = {**weights(3), "bert.key.bias": np.ones(30)}
    found = certify(made(), made(arrays=made_arrays(end=sketches(other))))
    assert found.holds and "softmax" in found.notes[0]
