"""The recipe's precision word in TensorFlow: Keras's policy, loss scaling and the TF32 switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks.contract import Precision, Recipe, Unsupported
from frameworks.hf_tf import NAME
from frameworks.hf_tf.model import device

POLICIES = {"bf16": "mixed_bfloat16", "fp16": "mixed_float16"}
WORDS: dict[str, Precision] = {"bfloat16": "bf16", "float16": "fp16"}


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


def in_force(model: TFPreTrainedModel) -> Precision:
    """The word for what matrix products are done in: asked of the model's layers."""
    dense = [layer for layer in model.submodules if isinstance(layer, tf_keras.layers.Dense)]
    return WORDS.get(dense[0].compute_dtype, "tf32" if tf32() else "fp32")


def tf32() -> bool:
    """Whether fp32 matrix products may run in TF32."""
    on = tf.config.experimental.tensor_float_32_execution_enabled()
    return device() == "gpu" and on


def switches() -> dict[str, str | bool]:
    """The framework's own switches, as they stand."""
    on = tf.config.experimental.tensor_float_32_execution_enabled()
    return {"tf32": tf32(), "tensor_float_32_execution": on}
