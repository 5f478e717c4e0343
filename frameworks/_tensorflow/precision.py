"""What of the recipe's precision is TensorFlow's and not Keras's: products and the TF32 switch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import config
from tensorflow.python.util import _pywrap_util_port

from frameworks.contract import Recipe
from frameworks.contract.product import Product, factors

POLICIES = {"bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


def set_switches(recipe: Recipe) -> None:
    """Switches TF32 on or off. In every case, because TensorFlow has it on by default."""
    tf.config.experimental.enable_tensor_float_32_execution(recipe.precision == "tf32")


def product_in(dtype: tf.DType, compiled: bool) -> Product:
    """The bits that products keep in layers that compute in `dtype`: a layer's product, and that
    of attention with many heads; in a graph, which is compiled where the loop's is."""

    @tf.function(jit_compile=compiled)
    def products(a: tf.Tensor, b: tf.Tensor) -> list[tf.Tensor]:
        a, b = tf.cast(a, dtype), tf.cast(b, dtype)
        return [tf.linalg.matmul(a, b), tf.linalg.matmul(a[None], b[None])[0]]

    results = [tf.cast(result, tf.float32).numpy() for result in products(*factors())]
    return Product.of(*results, half=dtype == tf.float16)


def switches() -> dict[str, bool]:
    """The framework's own switches, read back."""
    on = tf.config.experimental.tensor_float_32_execution_enabled()
    # As many as a thread pool shares out: TensorFlow's threads have another mode than their caller.
    halved = _halved(tf.fill([2**20], np.finfo(np.float32).tiny))
    return {
        "tensor_float_32_execution": on,
        "deterministic": config.is_op_determinism_enabled(),
        "onednn": _pywrap_util_port.IsMklEnabled(),
        "flushes_denormals": not halved.numpy().all(),
    }


@tf.function
def _halved(number: tf.Tensor) -> tf.Tensor:
    return number / 2
