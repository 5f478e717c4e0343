"""The classifier: a bidirectional LSTM in Keras 3 on TensorFlow, from random weights. The two
layers of 64 units and the 128-wide embedding are those of Keras's own IMDb example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from frameworks.contract import EMBEDDING, UNITS, Recipe, SessionSpec, start_weights
from frameworks.keras_rnn import own_model

# The recurrent layers, and whether a layer returns its state after every token.
LAYERS = {"lower": True, "upper": False}


def build(spec: SessionSpec) -> keras.Model:
    """The model with weights drawn from the recipe's seed, or the user's, on its device.

    Inputs are int32 (batch, width), right-padded as cuDNN's LSTM demands; the logits come from
    the last real state of either direction.
    """
    if spec.own_model is not None:
        return own_model.build(spec)
    keras.utils.set_random_seed(spec.recipe.seed)
    dropout = spec.recipe.dropout or 0.0  # no checkpoint says another rate
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("input_ids", "attention_mask")
    }
    mask = keras.ops.cast(inputs["attention_mask"], "bool")
    embed = keras.layers.Embedding(spec.start.vocabulary_size, EMBEDDING, name="words")
    states = embed(inputs["input_ids"])
    if spec.train.has_token_types:  # they show where a pair's second text begins
        inputs["token_type_ids"] = keras.Input((None,), dtype="int32", name="token_type_ids")
        types = keras.layers.Embedding(2, EMBEDDING, name="token_types")
        states = keras.layers.add([states, types(inputs["token_type_ids"])])
    states = keras.layers.Dropout(dropout, seed=spec.recipe.seed)(states)
    for name, every_state in LAYERS.items():
        lstm = keras.layers.LSTM(UNITS, return_sequences=every_state, name="lstm")
        states = keras.layers.Bidirectional(lstm, name=name)(states, mask=mask)
    states = keras.layers.Dropout(dropout, seed=spec.recipe.seed + 1)(states)
    logits = keras.layers.Dense(spec.start.label_count, name="classifier")(states)
    network = keras.Model(inputs, logits)
    if spec.shared_start:
        start, tokens = spec.start, spec.train.has_token_types
        load_weights(
            network,
            start_weights(start.label_count, start.vocabulary_size, tokens, spec.recipe.seed),
        )
    return network


def dropout_rates(model: keras.Model) -> dict[str, float]:
    """The dropout rate of every layer that has one."""
    layers = [m for m in model._flatten_layers() if isinstance(m, keras.layers.Dropout)]
    return {layer.path: float(layer.rate) for layer in layers}


def checkpoint_dropout(spec: SessionSpec) -> frozenset[float]:
    """No checkpoint says another rate than 0."""
    return frozenset([0.0])


def names(variables: Iterable[keras.Variable]) -> frozenset[str]:
    """Keras's paths of the variables."""
    return frozenset(variable.path for variable in variables)


def sizes(model: keras.Model) -> dict[str, int]:
    """How many numbers every trainable weight has, by Keras's paths."""
    return {v.path: int(np.prod(v.shape)) for v in model.trainable_weights}


def pytorch_name(path: str) -> str:
    """The name that a variable of this LSTM has in PyTorch; of another model Keras's path."""
    return SHARED.get(path, path)


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """A copy of all weights, float32; those of this LSTM by PyTorch's names and in its layouts."""
    return {
        pytorch_name(variable.path): _turned(
            variable.path, keras.ops.convert_to_numpy(variable.value).astype(np.float32)
        )
        for variable in model.weights
    }


def load_weights(model: keras.Model, saved: Mapping[str, np.ndarray]) -> None:
    """Restores what `weights` returned; `KeyError` names a missing weight."""
    for variable in model.weights:
        variable.assign(_turned(variable.path, saved[pytorch_name(variable.path)]))


def loss_inputs(logits: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """What the loss takes for logits: the probabilities, where the recipe makes that mistake."""
    return tf.nn.softmax(logits) if recipe.mistake == "softmax_before_loss" else logits


def _turned(path: str, values: np.ndarray) -> np.ndarray:
    """Keras multiplies by a matrix, PyTorch by its transpose."""
    return values.T if path in SHARED and path.endswith("kernel") else values


SHARED = {
    "words/embeddings": "words.weight",
    "token_types/embeddings": "token_types.weight",
    "classifier/kernel": "classifier.weight",
    "classifier/bias": "classifier.bias",
} | {
    f"{layer}/{way}_lstm/lstm_cell/{ours}": f"{layer}.{theirs}_l0{suffix}"
    for layer in ("lower", "upper")
    for way, suffix in (("forward", ""), ("backward", "_reverse"))
    for ours, theirs in (
        ("kernel", "weight_ih"),
        ("recurrent_kernel", "weight_hh"),
        ("bias", "bias_ih"),
    )
}
