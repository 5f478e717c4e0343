"""The recipe's precision word in TensorFlow: Keras's policy, loss scaling and the TF32 switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks.contract import Recipe, Unsupported
from frameworks.contract.precision import Product, factors
from frameworks.hf_tf import NAME
from frameworks.hf_tf.model import device

POLICIES = {"bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


@contextmanager
def applied(recipe: Recipe) -> Iterator[None]:
    """Models built inside compute in the word. TF32 is said outright in every case, because
    TensorFlow has it on where nothing is said."""
    if recipe.precision in ("tf32", "bf16") and device() == "gpu":
        gpu = tf.config.list_physical_devices("GPU")[0]
        major, minor = tf.config.experimental.get_device_details(gpu)["compute_capability"]
        if major < 8:
            why = f"the GPU has compute capability {major}.{minor}, it needs 8.0"
            raise Unsupported(NAME, "precision", recipe.precision, why)
    tf.config.experimental.enable_tensor_float_32_execution(recipe.precision == "tf32")
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(POLICIES.get(recipe.precision, "float32"))
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def product(model: TFPreTrainedModel, compiled: bool) -> Product:
    """What products keep as the model's layers make them: a layer's, and attention's of many heads;
    in a graph, which is compiled where the loop's is."""
    dense = next(layer for layer in model.submodules if isinstance(layer, tf_keras.layers.Dense))
    dtype = tf.as_dtype(dense.compute_dtype)

    @tf.function(jit_compile=compiled)
    def products(a: tf.Tensor, b: tf.Tensor) -> list[tf.Tensor]:
        a, b = tf.cast(a, dtype), tf.cast(b, dtype)
        return [tf.linalg.matmul(a, b), tf.linalg.matmul(a[None], b[None])[0]]

    results = [tf.cast(result, tf.float32).numpy() for result in products(*factors())]
    return Product.of(*results, half=dtype == tf.float16)


def switches() -> dict[str, bool]:
    """The framework's own switches, as they stand."""
    on = tf.config.experimental.tensor_float_32_execution_enabled()
    return {"tensor_float_32_execution": on}


def loss_scaling(optimizer: tf_keras.optimizers.Optimizer) -> dict[str, float]:
    """Where losses are scaled: by how much, for how many steps since that changed, and after how
    many it grows."""
    if not isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer):
        return {}
    names = {
        "loss_scale": "loss_scale",
        "loss_scale_steps": "dynamic_counter",
        "loss_scale_growth_steps": "dynamic_growth_steps",
    }
    return {ours: float(getattr(optimizer, theirs)) for ours, theirs in names.items()}
