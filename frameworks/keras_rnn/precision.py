"""The recipe's precision in TensorFlow: Keras's policy, loss scaling and the TF32 switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from frameworks._tensorflow import precision as shared
from frameworks.contract import Recipe
from frameworks.contract.product import Product


@contextmanager
def applied(recipe: Recipe) -> Iterator[None]:
    """Models that are built inside compute in the recipe's precision."""
    shared.set_switches(recipe)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(shared.POLICIES.get(recipe.precision, "float32"))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def product(model: keras.Model, compiled: bool) -> Product:
    """The bits that products keep as the model's layers compute them."""
    layers = model._flatten_layers()
    dense = next((layer for layer in layers if isinstance(layer, keras.layers.Dense)), model)
    return shared.product_in(tf.as_dtype(dense.compute_dtype), compiled)


switches = shared.switches


def loss_scaling(optimizer: keras.optimizers.Optimizer) -> dict[str, float]:
    """How losses are scaled: the factor, the steps since it changed, and the steps after which it
    grows. Empty if they are not scaled."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return {}
    names = {
        "loss_scale": "dynamic_scale",
        "loss_scale_steps": "step_counter",
        "loss_scale_growth_steps": "dynamic_growth_steps",
    }
    return {ours: float(getattr(optimizer, theirs)) for ours, theirs in names.items()}
