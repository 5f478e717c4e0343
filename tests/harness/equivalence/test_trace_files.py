"""Sketches, what is traced, and the files of traces and certificates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.data.examples import take_spread
from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.certify import certify_files, certify_run
from benchmarks.harness.equivalence.count_sketch import BUCKETS, comparable, sketch
from benchmarks.harness.equivalence.trace import Traced, read_traced, write_arrays
from benchmarks.harness.errors import UserError
from benchmarks.harness.worker.questions.equivalence import step_examples
from frameworks.contract import Examples, Feed, Recipe
from results.analysis.proof import NOT_PROVEN, proof
from results.schema import JobKey, Measurement
from results.store import read_certificates, write_measurement
from tests.harness.equivalence.made_traces import (
    STEPS,
    made,
    made_arrays,
    made_trace,
    reduced,
    weights,
)
from tests.results.samples import CPU

pytestmark = pytest.mark.smoke


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


# What a trace is recorded of.


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


def test_a_runs_bf16_traces_are_compared_with_its_fp32_ones(tmp_path: Path) -> None:
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


def test_a_trace_that_is_none_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read .No such file"):
        read_traced(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(UserError, match="was written by an incompatible version .job"):
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
