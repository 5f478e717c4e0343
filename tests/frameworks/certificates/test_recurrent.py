"""The LSTM in PyTorch does the same work as the one in Keras."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.worker.questions.equivalence import first_norms
from frameworks.contract import Start, backends, start_weights
from tests.frameworks.certificates.tracing import clean_trace, traced_spec
from tests.frameworks.conftest import LENGTH, VOCABULARY, needed, new_session

START = Start(Path(), "bert", 3, VOCABULARY, LENGTH)  # its folder is not read


def test_the_certificate_holds_and_finds_other_starting_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("hf_torch", "keras_rnn"):
        needed(name)
    from frameworks.hf_torch.own_model.lstm import Lstm, build
    from frameworks.keras_rnn import model

    monkeypatch.setattr(
        model, "LAYERS", {"lower": True, "upper": False}
    )  # both, unlike other tests

    def other_seed(seed: int, **arguments: Any) -> Lstm:
        return build(seed=seed + 1, **arguments)

    other_seed.__signature__ = inspect.signature(build)  # type: ignore[attr-defined]
    spec = traced_spec(START, steps=24, accumulation=2, learning_rate=3e-3)
    spec = dataclasses.replace(spec, shared_start=True, own_model=build)
    limit = median(first_norms(lambda plain: new_session("hf_torch", plain), spec))
    recipe = spec.recipe.model_copy(update={"max_gradient_norm": limit})
    spec = dataclasses.replace(spec, recipe=recipe)
    torch = clean_trace("hf_torch", spec)
    keras = clean_trace("keras_rnn", dataclasses.replace(spec, own_model=None))
    assert torch.arrays.start.keys() == start_weights(3, VOCABULARY, True, 42).keys()
    found = certify(torch, keras)
    assert found.holds, found.verdict
    assert 0 < found.clipped_steps < found.steps and found.epochs > 2
    other = clean_trace("hf_torch", dataclasses.replace(spec, own_model=other_seed))
    assert certify(other, keras).failed_first == "starting weights"


def test_it_has_to_be_named() -> None:
    assert "torch_rnn" in backends() and "torch_rnn" not in list(backends())
    assert backends()["torch_rnn"].family == backends()["keras_rnn"].family
