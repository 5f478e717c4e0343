"""A model of the user's own trains as any other: in Trainer, in fit and in the bare loops."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.worker.in_force import differences
from benchmarks.harness.worker.user_code import backend_of_model
from frameworks.contract import Session, SessionSpec, Start
from tests.frameworks.conftest import (
    LENGTH,
    VOCABULARY,
    Eyes,
    make_examples,
    make_spec,
    needed,
    new_session,
)

LABELS, ROWS = 3, 14
START = Start(Path(), "bert", LABELS, VOCABULARY, LENGTH)  # a model of its own reads no folder
TRAINING = {"epochs": 2, "accumulation": 2, "learning_rate": 1e-3, "dropout": None}


def bag(returns: str = "logits", labels: bool = True) -> Any:
    """A function that makes a PyTorch model: the mean of the tokens' vectors and one layer."""
    needed("hf_torch")
    from torch import Tensor, nn

    class Bag(nn.Module):
        def __init__(self, vocabulary_size: int, label_count: int) -> None:
            super().__init__()
            self.words = nn.Embedding(vocabulary_size, 8)
            self.drop = nn.Dropout(0.2)
            self.norm1 = nn.BatchNorm1d(8)
            self.out = nn.Linear(8, label_count)
            self.unused = nn.Parameter(self.out.bias.detach().clone(), requires_grad=False)

        def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            mask = attention_mask[..., None]
            mean = (self.words(input_ids) * mask).sum(1) / mask.sum(1)
            return self.out(self.drop(self.norm1(mean)))

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return self.logits(input_ids, attention_mask)

    class WithLabels(Bag):
        def forward(
            self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None
        ) -> Any:
            logits = self.logits(input_ids, attention_mask)
            loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
            if returns == "dictionary":
                return {"loss": loss, "logits": logits}
            return (logits,) if loss is None else (loss, logits)

    return WithLabels if labels else Bag


def spec_of(function: Any, **fields: object) -> SessionSpec:
    spec = make_spec(START, ROWS, **{**TRAINING, **fields})
    return dataclasses.replace(spec, own_model=function)


def trained(backend: str, spec: SessionSpec, *, bare: bool = False) -> Session:
    session = new_session(backend, spec)
    (session.train_bare if bare else session.train)(Eyes())
    return session


@pytest.mark.once
def test_trainer_and_the_bare_loop_take_whatever_a_module_returns() -> None:
    functions = (bag(), bag("dictionary"), bag(labels=False))
    sessions = [trained("hf_torch", spec_of(made, dropout=0.0)) for made in functions]
    sessions.append(trained("hf_torch", spec_of(bag(labels=False), dropout=0.0), bare=True))
    sessions.append(trained("hf_torch", spec_of(bag(), dropout=0.0), bare=True))
    curves = [session.curve() for session in sessions]
    for curve in curves[1:]:
        np.testing.assert_allclose(curve.loss, curves[0].loss, rtol=1e-5)
        np.testing.assert_allclose(curve.gradient_norm, curves[0].gradient_norm, rtol=1e-4)
    for session in sessions:
        assert differences(session.spec, session.effective(), 4) == []
        logits = session.predict(make_examples(5, pairs=True), batch_size=4)
        assert logits.shape == (5, LABELS) and logits.dtype == np.float32


@pytest.mark.once
def test_a_module_keeps_its_rates_its_frozen_parameters_and_its_means() -> None:
    session = trained("hf_torch", spec_of(bag()))
    found = session.effective()
    assert found.embedding_parameters == VOCABULARY * 8
    assert found.in_force is not None
    assert found.in_force.dropout == {"drop": 0.2} and not found.in_force.frozen
    grouped = {name for group in found.in_force.groups for name in group.parameters}
    assert grouped == found.in_force.parameters and "unused" not in grouped
    kept = [group.parameters for group in found.in_force.groups if not group.weight_decay]
    assert set(kept[0]) == {"norm1.weight", "norm1.bias", "out.bias"}
    weights = session.weights()
    assert np.abs(weights["norm1.running_mean"]).max() > 0
    session.load_weights({name: np.zeros_like(values) for name, values in weights.items()})
    assert not session.weights()["norm1.running_mean"].any()
    without = new_session("hf_torch", spec_of(bag(), dropout=0.0))
    assert without.effective().in_force.dropout == {}


@pytest.fixture
def keras_models() -> dict[str, Any]:
    needed("keras_rnn")
    import keras

    def functional(vocabulary_size: int, label_count: int) -> keras.Model:
        """By a dictionary of two of a batch's three inputs, whose order is not the batch's."""
        inputs = {n: keras.Input((None,), name=n) for n in ("token_type_ids", "input_ids")}
        states = keras.layers.Embedding(vocabulary_size, 8)(inputs["input_ids"])
        states = keras.layers.GRU(4, dropout=0.2)(states)
        states = keras.layers.BatchNormalization()(states)
        return keras.Model(inputs, keras.layers.Dense(label_count)(states))

    class Subclassed(keras.Model):
        def __init__(self, vocabulary_size: int, label_count: int) -> None:
            super().__init__()
            self.words = keras.layers.Embedding(vocabulary_size, 8)
            self.drop = keras.layers.Dropout(0.2)
            self.out = keras.layers.Dense(label_count)

        def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
            mean = keras.ops.mean(self.words(inputs["input_ids"]), axis=1)
            return self.out(self.drop(mean, training=training))

    return {"functional": functional, "subclassed": Subclassed}


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_fit_trains_a_keras_model(kind: str, keras_models: dict[str, Any]) -> None:
    session = trained("keras_rnn", spec_of(keras_models[kind]))
    assert len(session.curve().loss) == 4
    found = session.effective()
    assert differences(session.spec, found, 4) == []
    assert found.in_force is not None and set(found.in_force.dropout.values()) == {0.2}
    assert found.embedding_parameters == VOCABULARY * 8
    logits = session.predict(make_examples(5, pairs=True), batch_size=4)
    assert logits.shape == (5, LABELS)
    before = session.weights()
    session.load_weights({name: np.zeros_like(values) for name, values in before.items()})
    assert before and not any(values.any() for values in session.weights().values())


def test_a_keras_model_is_given_its_inputs_by_name(keras_models: dict[str, Any]) -> None:
    """Token ids beyond the two token types, so that exchanged inputs would show."""
    session = new_session("keras_rnn", spec_of(keras_models["functional"]))
    examples = make_examples(4, pairs=True)
    one = session.predict(examples, batch_size=4)
    other = dataclasses.replace(examples, ids=np.where(examples.ids > 8, 9, examples.ids))
    assert not np.allclose(one, session.predict(other, batch_size=4))


MODULE = """
import torch
from torch import nn

class Bag(nn.Module):
    def __init__(self, vocabulary, labels):
        super().__init__()
        self.words, self.out = nn.Embedding(vocabulary, 4), nn.Linear(4, labels)
    def forward(self, input_ids):
        return self.out(self.words(input_ids).mean(1))

class Loss(Bag):
    def forward(self, input_ids, labels=None):
        logits = super().forward(input_ids)
        return logits if labels is None else (logits, logits)

class Constant(nn.Module):
    def forward(self, input_ids):
        return torch.zeros(len(input_ids), 3)

def good(vocabulary_size, label_count):
    return Bag(vocabulary_size, label_count)
def raises(vocabulary_size):
    raise KeyError("colour")
def two_labels(vocabulary_size):
    return Bag(vocabulary_size, 2)
def too_few_words(label_count):
    return Bag(2, label_count)
def no_loss(vocabulary_size, label_count):
    return Loss(vocabulary_size, label_count)
def constant():
    return Constant()
def asks(colour):
    return Bag(1000, 3)
def number():
    return 3
text = "not a function"
"""
PROBLEMS = {
    "raises": "KeyError: 'colour' (own_modules line 24)",
    "two_labels": "its model returns logits of shape (2, 2) for 2 texts and 3 labels, not (2, 3)",
    "too_few_words": "IndexError: index out of range in self",
    "no_loss": "its model returns a loss of shape (2, 3), not one number",
    "constant": "its model has no parameters to train",
    "asks": "it requires colour, but is given label_count, vocabulary_size, pad_id, length, seed",
    "number": "it returns builtins.int, not a model of torch or keras",
    "text": "it is not a function",
    "absent": "module 'own_modules' has no 'absent'",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    needed("hf_torch")
    (tmp_path / "own_modules.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_modules", raising=False)
    return tmp_path


@pytest.mark.once
@pytest.mark.parametrize("function", PROBLEMS)
def test_what_is_wrong_with_a_model_is_one_line(function: str, modules: Path) -> None:
    problem = backend_of_model(f"own_modules:{function}", modules)["problem"]
    assert PROBLEMS[function] in problem and "\n" not in problem


@pytest.mark.once
def test_the_class_of_a_model_finds_its_backend(modules: Path) -> None:
    assert backend_of_model("own_modules:good", modules) == {"backend": "hf_torch"}


def test_a_keras_model_finds_its_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("keras_rnn")
    source = """
import keras

def build(vocabulary_size, label_count):
    words = keras.Input((None,), name="input_ids")
    mean = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(vocabulary_size, 4)(words))
    return keras.Model(words, keras.layers.Dense(label_count)(mean))
"""
    (tmp_path / "own_keras.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert backend_of_model("own_keras:build", tmp_path) == {"backend": "keras_rnn"}
