"""A `keras.Model` of the user's own, which returns logits for a dictionary of token ids and masks."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from frameworks.contract import (
    SessionSpec,
    check_logits,
    check_parameters,
    first_batch,
    make_model,
)

# Layers with a dropout rate, and the attributes that hold it.
CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)
RATES = (
    ((keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout), "rate"),
    (CELLS, "dropout"),
    (CELLS, "recurrent_dropout"),
)


def build(spec: SessionSpec) -> keras.Model:
    """The model that the user's function returns, under the recipe's dropout; tried with a few examples.
    Errors: ValueError for a model that cannot be trained, and whatever it raises."""
    keras.utils.set_random_seed(spec.recipe.seed)
    model = make_model(spec)
    if not isinstance(model, keras.Model):
        raise ValueError(f"it returns {type(model).__name__}, not a keras.Model")
    batch = first_batch(spec)
    del batch["labels"]
    model = with_inputs(model, list(batch))
    if spec.recipe.dropout is not None:
        set_dropout(model, spec.recipe.dropout)
    logits = model(batch, training=False)  # which makes the variables of some models
    check_logits(getattr(logits, "shape", ()), spec)
    check_parameters(len(model.trainable_weights))
    return model


def with_inputs(model: keras.Model, names: list[str]) -> keras.Model:
    """The model with all inputs of a batch. A functional one that has names for some of them is wrapped:
    Keras would hand it the first ones, whatever their names."""
    wanted = getattr(model, "_inputs_struct", None)
    if not isinstance(wanted, dict) or set(wanted) == set(names):
        return model
    if missing := sorted(set(wanted) - set(names)):
        raise ValueError(
            f"its model has the input {missing[0]!r}, but a batch has {', '.join(names)}"
        )
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    return keras.Model(inputs, model({name: inputs[name] for name in wanted}))


def set_dropout(model: keras.Model, rate: float) -> None:
    """Sets the rate of every layer that drops something; what `call` drops by itself is not seen."""
    for layer, attribute in list(_dropout_layers(model)):
        setattr(layer, attribute, rate)


def dropout_rates(model: keras.Model) -> dict[str, float]:
    """The rate of every layer that drops something."""
    found = _dropout_layers(model)
    return {f"{layer.path} {name}": float(getattr(layer, name)) for layer, name in found}


def _dropout_layers(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, str]]:
    """Each with the attribute that is its rate."""
    for layer in model._flatten_layers():
        for kinds, attribute in RATES:
            if isinstance(layer, kinds) and getattr(layer, attribute):
                yield layer, attribute
