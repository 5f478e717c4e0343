"""The recipe's precision in TensorFlow: Keras's policy, loss scaling and the TF32 switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks._tensorflow import precision as shared
from frameworks.contract import Recipe
from frameworks.contract.product import Product


@contextmanager
def applied(recipe: Recipe) -> Iterator[None]:
    """Models that are built inside compute in the recipe's precision."""
    shared.set_switches(recipe)
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(shared.POLICIES.get(recipe.precision, "float32"))
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def product(model: TFPreTrainedModel, compiled: bool) -> Product:
    """The bits that products keep as the model's layers compute them."""
    dense = next(layer for layer in model.submodules if isinstance(layer, tf_keras.layers.Dense))
    return shared.product_in(tf.as_dtype(dense.compute_dtype), compiled)


switches = shared.switches


def loss_scaling(optimizer: tf_keras.optimizers.Optimizer) -> dict[str, float]:
    """How losses are scaled: the factor, the steps since it changed, and the steps after which it
    grows. Empty if they are not scaled."""
    if not isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer):
        return {}
    names = {
        "loss_scale": "loss_scale",
        "loss_scale_steps": "dynamic_counter",
        "loss_scale_growth_steps": "dynamic_growth_steps",
    }
    return {ours: float(getattr(optimizer, theirs)) for ours, theirs in names.items()}
