"""Certificates of traces in a reduced precision."""

from __future__ import annotations

import dataclasses
from math import inf

import pytest

from benchmarks.harness.equivalence import bounds
from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.count_sketch import sketches
from benchmarks.harness.errors import UserError
from results.schema import Certificate
from tests.harness.equivalence.made_traces import (
    STEPS,
    made,
    made_trace,
    reduced,
    weights,
)

pytestmark = pytest.mark.smoke


# A reduced precision.


def test_the_bounds_of_bf16_come_from_a_backends_own_two_runs() -> None:
    first, second, plain = reduced(1, "hf_torch"), reduced(2, "hf_tf"), made(backend="hf_torch")
    found = certify(first, second, [plain])
    assert found.holds, found.verdict
    made_of = {check.name: check for check in found.checks}
    own = max(abs(a - b) for a, b in zip(first.trace.loss, plain.trace.loss, strict=True))
    assert made_of["loss"].bound == pytest.approx(bounds.TIMES * own)
    assert [name for name, check in made_of.items() if not check.derived] == [
        "recipe",
        "steps",
        "batches",
        "starting weights",
        "learning rate",
        "clipping",
    ]
    assert made_of["starting weights"].bound == bounds.START_WEIGHTS
    assert found.repeat is not None and found.repeat.backends == ["hf_torch"]
    assert "times its own rounding over 12 steps (bf16, 2 epochs" in found.verdict
    same = Certificate.model_validate_json(found.model_dump_json())
    assert same == found


def test_what_is_beyond_a_derived_bound_is_caught_at_its_step() -> None:
    losses = list(reduced(2, "hf_tf").trace.loss)
    losses[4] += 0.1
    found = certify(
        reduced(1, "hf_torch"),
        reduced(2, "hf_tf", loss=losses),
        [made(backend="hf_torch"), made(backend="hf_tf")],
    )
    assert found.failed_first == "loss"
    assert next(c for c in found.checks if c.name == "loss").step == 5


def test_a_coarse_backend_does_not_widen_the_bounds_that_it_has_to_meet() -> None:
    """Compared with its own two runs alone, nothing that a backend does could fail."""
    fine, coarse = reduced(1, "hf_torch"), reduced(2, "hf_tf", size=0.1)
    plain = [made(backend="hf_torch"), made(backend="hf_tf")]
    assert certify(fine, coarse, plain[1:]).holds
    for repeats in (plain[:1], plain, plain[::-1]):
        assert not certify(fine, coarse, repeats).holds


def test_bounds_are_never_narrower_than_the_fixed_ones() -> None:
    """Where the precision changes nothing, and where a repeat gives no number."""
    same = made(backend="hf_torch", precision="bf16")
    found = certify(same, made(backend="hf_tf", precision="bf16"), [made(backend="hf_torch")])
    assert found.holds
    for check in found.checks:
        if check.name == "starting logits":
            assert check.bound <= bounds.LARGE_START_LOGITS
        elif check.kind not in ("same", "some") and check.name != "labels":
            assert check.bound == bounds.FIXED[check.name]
    endless = made(made_trace(gradient_norm=[inf] * STEPS), backend="hf_torch", precision="bf16")
    broken = made(made_trace(gradient_norm=[9.0] * STEPS), backend="hf_tf", precision="bf16")
    found = certify(endless, broken, [made(backend="hf_torch")])
    assert found.failed_first == "gradient norm"


@pytest.mark.parametrize(
    ("traces", "message"),
    [
        ((("bf16", "hf_torch"), ("bf16", "hf_tf")), "whose bounds follow from an fp32 run: add"),
        (
            (("fp32", "hf_torch"), ("fp32", "hf_tf"), ("fp32", "hf_tf")),
            "name two traces alone",
        ),
        (
            (("bf16", "hf_torch"), ("fp32", "hf_tf"), ("fp32", "hf_tf")),
            "name two traces alone",
        ),
        (
            (("bf16", "hf_torch"), ("bf16", "hf_tf"), ("fp32", "keras_rnn")),
            "is of keras_rnn, the two traces are of hf_torch and hf_tf",
        ),
        (
            (("bf16", "hf_torch"), ("bf16", "hf_tf"), ("bf16", "hf_tf")),
            "not the same training in fp32: recipe differs .precision",
        ),
    ],
)
def test_repeats_that_are_none_are_reported(
    traces: tuple[tuple[str, str], ...], message: str
) -> None:
    first, second, *repeats = (made(backend=b, precision=p) for p, b in traces)
    with pytest.raises(UserError, match=message):
        certify(first, second, repeats)


def test_a_repeat_on_other_batches_is_none() -> None:
    other = made(made_trace(batches=["f" * 64] * STEPS), backend="hf_torch")
    with pytest.raises(UserError, match="not the same training in fp32: batches differ"):
        certify(reduced(1, "hf_torch"), reduced(2, "hf_tf"), [other])


def test_a_fault_at_the_start_is_the_certificates_to_tell() -> None:
    """One side alone has other weights: its own two runs differ, and that ends no run."""
    plain = [made(backend="hf_torch"), made(backend="hf_tf")]
    faulty = reduced(2, "hf_tf")
    rough = {name: values + 1e-3 for name, values in weights().items()}
    faulty = dataclasses.replace(
        faulty, arrays=dataclasses.replace(faulty.arrays, start=sketches(rough))
    )
    for repeats in (plain, plain[:1], plain[1:]):
        found = certify(reduced(1, "hf_torch"), faulty, repeats)
        assert found.failed_first == "starting weights"


def test_traces_of_two_precisions_are_of_two_recipes() -> None:
    found = certify(made(), made(backend="hf_tf", precision="bf16"))
    assert found.failed_first == "recipe" and "precision: 'fp32' against 'bf16'" in found.verdict
