"""The certificate as a pure comparison: a trace agrees with itself, and any perturbation above a
bound is caught and named. Traces are made up; tests/frameworks takes real ones."""

from __future__ import annotations

import dataclasses
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.data.examples import take_spread
from benchmarks.harness.equivalence import bounds, compare
from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.certify import certify_files, certify_run
from benchmarks.harness.equivalence.count_sketch import BUCKETS, comparable, sketch, sketches
from benchmarks.harness.equivalence.trace import Arrays, Traced, read_traced, write_arrays
from benchmarks.harness.errors import UserError
from benchmarks.harness.worker.equivalence import step_examples
from frameworks.contract import Examples, Feed, Recipe
from results.analysis.proof import NOT_PROVEN, proof
from results.schema import Certificate, JobKey, Measurement, Side, Trace
from results.store import read_certificates, write_measurement
from tests.results.samples import CPU

pytestmark = pytest.mark.smoke

STEPS = 12
RECIPE = {
    "precision": "fp32",
    "accumulation": 1,
    "steps": STEPS,
    "weight_decay": 0.1,
    "max_gradient_norm": 1.0,
    "attention": None,
}
TENSORS = {
    "bert.layer.weight": (40, 30),
    "bert.LayerNorm.bias": (30,),
    "bert.key.bias": (30,),
    "classifier.weight": (3, 30),
}


def made_trace(**changes: object) -> Trace:
    fields = {
        "steps": STEPS,
        "steps_per_epoch": 6,
        "update_step": 2,
        "examples": [4] * 5 + [2] + [4] * 5 + [2],
        "batches": [f"{i:064x}" for i in range(STEPS)],
        "batch_steps": list(range(1, STEPS + 1)),
        "loss": [1.0 / s for s in range(1, STEPS + 1)],
        "gradient_norm": [0.5 + 0.1 * s for s in range(STEPS)],
        "learning_rate": [1e-4 * s for s in range(STEPS)],
        "evaluation_examples": 50,
    }
    return Trace(**fields | changes)


def weights(seed: int = 0, size: float = 0.05) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: size * generator.standard_normal(shape) for name, shape in TENSORS.items()}


def made_arrays(**changes: object) -> Arrays:
    logits = np.random.default_rng(1).standard_normal((50, 3)).astype(np.float32)
    fields = {
        "start_logits": logits,
        "end_logits": 2 * logits,
        "start": sketches(weights()),
        "update": sketches(weights(2, 1e-5)),
        "end": sketches(weights(3)),
    }
    return Arrays(**fields | changes)


def made(
    trace: Trace | None = None,
    arrays: Arrays | None = None,
    backend: str = "hf_torch",
    **recipe: object,
) -> Traced:
    side = Side(backend=backend, device="made up", versions={"x": "1"}, started_at="now")
    return Traced(side, "mnli", RECIPE | recipe, trace or made_trace(), arrays or made_arrays())


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


def test_the_earliest_step_is_told_first() -> None:
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
    ("limit", "told"),
    [
        (2.0, "no step of hf_tf was clipped at max_gradient_norm 2.0: lower it"),
        (0.0, "no step of hf_tf was clipped"),
    ],
)
def test_a_certificate_needs_some_steps_clipped_and_some_not(limit: float, told: str) -> None:
    found = certify(*(made(backend=b, max_gradient_norm=limit) for b in ("hf_tf", "hf_torch")))
    assert not found.holds and found.failed_first == "clipping"
    assert found.verdict.startswith(f"same work: not proven: {told}"), found.verdict
    assert "the median norm, 1" in found.verdict
    assert [c.name for c in found.checks if not c.passed] == ["clipping"]


def test_every_step_may_be_clipped_if_the_norms_differ() -> None:
    """As with many classes, at a threshold that was chosen for two."""
    sides = [made(backend=b, max_gradient_norm=0.4) for b in ("hf_tf", "hf_torch")]
    found = certify(*sides)
    assert found.holds and any("every step was clipped" in note for note in found.notes)
    assert not any("every step" in note for note in certify(made(), made()).notes)


def test_steps_that_are_all_clipped_alike_prove_nothing() -> None:
    norms = [1.0 + 0.01 * s for s in range(STEPS)]
    sides = [
        made(made_trace(gradient_norm=norms), backend=b, max_gradient_norm=0.4)
        for b in ("hf_tf", "hf_torch")
    ]
    found = certify(*sides)
    assert not found.holds and found.failed_first == "clipping"
    told = "every step of hf_tf was clipped at max_gradient_norm 0.4: raise it"
    assert found.verdict.startswith(f"same work: not proven: {told}"), found.verdict


def test_both_traces_have_to_clip() -> None:
    quiet = made(made_trace(gradient_norm=[0.1] * STEPS), backend="hf_tf")
    failed = {c.name: c.where for c in certify(made(), quiet).checks if not c.passed}
    assert set(failed) == {"gradient norm", "clipping"} and "hf_tf" in str(failed["clipping"])


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


# A reduced precision.


def rounded(seed: int, size: float) -> tuple[Trace, Arrays]:
    """A trace off by `size`, as rounding makes it: losses, norms, logits, updates and weights."""
    generator = np.random.default_rng(seed)

    def off(values: np.ndarray) -> np.ndarray:
        return values * (1 + size * generator.uniform(-1, 1, values.shape))

    trace, arrays = made_trace(), made_arrays()
    return (
        made_trace(
            loss=off(np.array(trace.loss)).tolist(),
            gradient_norm=off(np.array(trace.gradient_norm)).tolist(),
        ),
        made_arrays(
            start_logits=off(arrays.start_logits),
            end_logits=off(arrays.end_logits),
            update=sketches({n: off(v) for n, v in weights(2, 1e-5).items()}),
            end=sketches({n: off(v) for n, v in weights(3).items()}),
        ),
    )


def reduced(seed: int, backend: str, size: float = 4e-3, **changes: object) -> Traced:
    trace, arrays = rounded(seed, size)
    return made(trace.model_copy(update=changes), arrays, backend, precision="bf16")


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


def test_a_coarse_backend_does_not_widen_the_bounds_that_it_is_held_against() -> None:
    """Held against its own two runs alone, nothing that a backend does could fail."""
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
        ((("bf16", "hf_torch"), ("bf16", "hf_tf")), "whose bounds come from a repeated run: add"),
        (
            (("fp32", "hf_torch"), ("fp32", "hf_tf"), ("fp32", "hf_tf")),
            "give the two traces without it",
        ),
        (
            (("bf16", "hf_torch"), ("fp32", "hf_tf"), ("fp32", "hf_tf")),
            "give the two traces without it",
        ),
        (
            (("bf16", "hf_torch"), ("bf16", "hf_tf"), ("fp32", "keras_rnn")),
            "is of keras_rnn, the traces are of hf_torch and hf_tf",
        ),
        (
            (("bf16", "hf_torch"), ("bf16", "hf_tf"), ("bf16", "hf_tf")),
            "not the same training in fp32: recipe differs .precision",
        ),
    ],
)
def test_repeats_that_are_none_are_told(traces: tuple[tuple[str, str], ...], message: str) -> None:
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


# Sketches.


@given(st.integers(1, 5000), st.integers(0, 100))
def test_the_difference_of_sketches_is_the_sketch_of_the_difference(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.standard_normal((2, size))
    np.testing.assert_allclose(sketch("x", a) - sketch("x", b), sketch("x", a - b), atol=1e-9)


def test_a_sketch_keeps_the_norm() -> None:
    generator = np.random.default_rng(0)
    ratios = [
        np.linalg.norm(sketch(f"tensor {i}", values)) / np.linalg.norm(values)
        for i in range(200)
        if (values := generator.standard_normal(3000)) is not None
    ]
    assert abs(np.mean(ratios) - 1) < 0.02
    assert min(ratios) > 0.75 and max(ratios) < 1.25
    small = generator.standard_normal(BUCKETS)
    assert np.array_equal(sketch("small", small), small)


def test_a_sketch_is_the_same_everywhere() -> None:
    """Pinned: another draw of places and signs could not be compared with older traces."""
    found = sketch("a.weight", np.arange(1, 1001, dtype=np.float32))
    assert found[:4].tolist() == [0.0, 2006.0, -1325.0, -415.0]


def test_only_the_keys_third_of_gpt2s_bias_is_left_out() -> None:
    values = np.arange(12.0)
    assert comparable("transformer.h.0.attn.c_attn.bias", values).tolist() == [
        0,
        1,
        2,
        3,
        8,
        9,
        10,
        11,
    ]
    assert comparable("a.self.key.bias", values).size == 0
    assert comparable("t.attention.k_lin.bias", values).size == 0
    assert comparable("a.self.query.bias", values).size == 12
    assert comparable("a.self.key.weight", values).size == 12


# What a trace is taken of.


def ragged(count: int) -> Examples:
    lengths = np.arange(count) % 5 + 2
    return Examples(
        np.arange(lengths.sum(), dtype=np.int32),
        np.cumsum([0, *lengths]),
        lengths.astype(np.int32),
        np.arange(count, dtype=np.int32),
        0,
        True,
    )


@given(st.integers(1, 60), st.integers(1, 60))
def test_some_examples_are_spread_over_all(count: int, wanted: int) -> None:
    every = ragged(count)
    found = take_spread(every, wanted)
    assert len(found) == min(count, wanted)
    assert len(set(found.labels.tolist())) == len(found)
    for i, label in enumerate(found.labels):
        ours = found.ids[found.offsets[i] : found.offsets[i + 1]]
        theirs = every.ids[every.offsets[label] : every.offsets[label + 1]]
        assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("accumulation", [1, 2, 3])
def test_two_epochs_with_a_partial_last_batch(accumulation: int) -> None:
    from benchmarks.harness.plan.sections import EquivalencePlan

    plan = EquivalencePlan(steps=20)
    examples = ragged(plan.examples(accumulation))
    feed = Feed(examples, Recipe(batch_size=8, accumulation=accumulation, steps=20))
    counts = step_examples(feed, 20)
    assert feed.steps_per_epoch == 10
    full = 8 * accumulation
    assert counts == ([full] * 9 + [full - 4]) * 2


# Files.


def kept(folder: Path, backend: str, traced: Traced, label: str = "") -> Path:
    job = JobKey(
        id=f"equivalence-mnli-{backend}-accumulation_1{label}",
        backend=backend,
        task="mnli",
        question="equivalence",
    )
    weights_file = write_arrays(folder / f"{job.id}.npz", traced.arrays)
    trace = traced.trace.model_copy(
        update={"arrays_file": f"{job.id}.npz", "weights_file": weights_file}
    )
    return write_measurement(
        folder,
        Measurement(
            job=job,
            status="ok",
            started_at="now",
            seconds=1,
            recipe=dict(traced.recipe),
            device=CPU,
            payload=trace,
        ),
    )


def test_traces_survive_their_files_and_are_certified(tmp_path: Path) -> None:
    paths = [
        kept(tmp_path, "hf_torch", made(arrays=made_arrays(weights=weights(3)))),
        kept(tmp_path, "hf_tf", made()),
    ]
    traces = [read_traced(path) for path in paths]
    assert traces[0].arrays.weights is not None and traces[1].arrays.weights is None
    assert certify(*traces).holds
    measurements = [Measurement.model_validate_json(path.read_text()) for path in paths]
    (found,) = certify_run(tmp_path, measurements)
    stored, problems = read_certificates(tmp_path)
    assert problems == [] and stored == [found]
    assert (tmp_path / "certificates" / "hf_torch-hf_tf-mnli-accumulation_1.json").is_file()
    assert certify_run(tmp_path, measurements[:1]) == []


def test_a_runs_bf16_traces_are_held_against_its_fp32_ones(tmp_path: Path) -> None:
    backends, label = ("hf_torch", "hf_tf"), "-precision_bf16"
    paths = [kept(tmp_path, b, reduced(i, b), label) for i, b in enumerate(backends)]
    measurements = [Measurement.model_validate_json(path.read_text()) for path in paths]
    assert certify_run(tmp_path, measurements) == []
    with pytest.raises(UserError, match="the fp32 trace"):
        certify_files(*paths)
    paths += [kept(tmp_path, b, made(backend=b)) for b in backends]
    measurements = [Measurement.model_validate_json(path.read_text()) for path in paths]
    reduced_, plain = certify_run(tmp_path, measurements)
    assert reduced_.repeat is not None and reduced_.repeat.backends == ["hf_torch", "hf_tf"]
    assert plain.repeat is None and reduced_.holds and plain.holds
    assert certify_files(*paths) == reduced_
    assert (
        tmp_path / "certificates" / "hf_torch-hf_tf-mnli-accumulation_1-precision_bf16.json"
    ).is_file()


def test_a_trace_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read .No such file"):
        read_traced(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(UserError, match="was written by an incompatible version: job"):
        read_traced(tmp_path / "odd.json")
    path = kept(tmp_path, "hf_torch", made())
    path.with_suffix(".npz").write_bytes(b"PK damaged")
    with pytest.raises(UserError, match="missing or damaged"):
        read_traced(path)
    path.with_suffix(".npz").unlink()
    with pytest.raises(UserError, match="copy them next to"):
        read_traced(path)
    m = Measurement.model_validate_json(path.read_text())
    write_measurement(
        tmp_path, m.model_copy(update={"payload": None, "status": "failed", "reason": "it broke"})
    )
    with pytest.raises(UserError, match="is not a trace .failed: it broke"):
        read_traced(path)


# The line that the report shows.


def test_the_line_of_several_certificates() -> None:
    one = certify(made(), made(backend="hf_tf"))
    two = certify(made(accumulation=2), made(backend="hf_tf", accumulation=2))
    titles = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow"}
    assert proof([one, two], titles) == (
        "same work: proven to 1e-5 over 12 steps (PyTorch and TensorFlow; fp32, 2 epochs, "
        "accumulation 1 and 2)"
    )
    broken = certify(made(), made(made_trace(loss=[9.0] * STEPS), backend="hf_tf"))
    assert proof([one, broken], titles).startswith(
        "PyTorch and TensorFlow: not the same work: loss differs from step 1 on by 8"
    )
    assert proof([]) == NOT_PROVEN
