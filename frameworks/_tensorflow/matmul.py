"""The matrix rate that this framework reaches on this device, the yardstick of MFU."""

from __future__ import annotations

import tensorflow as tf

from frameworks._tensorflow import device
from frameworks.contract import MATMUL_SIZES, Recipe, matmul_rate

_DTYPES = {"fp32": tf.float32, "tf32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}


def flops_per_second(recipe: Recipe) -> float:
    """FLOP/s of a square product in the recipe's precision, under the switches in force."""
    size = MATMUL_SIZES[device.device()]
    a = tf.cast(tf.random.normal((size, size)), _DTYPES[recipe.precision])
    b = tf.cast(tf.random.normal((size, size)), _DTYPES[recipe.precision])

    def products(count: int) -> None:
        for _ in range(count):
            tf.linalg.matmul(a, b)
        device.synchronize()

    return matmul_rate(products, size)
