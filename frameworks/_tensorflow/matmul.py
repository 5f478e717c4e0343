"""The matrix rate that this framework reaches on this device, the yardstick of MFU."""

from __future__ import annotations

import time

import tensorflow as tf

from frameworks._tensorflow import memory
from frameworks.contract import MATMUL_SIZE, Recipe, matmul_rate

_DTYPES = {"fp32": tf.float32, "tf32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}


def flops_per_second(recipe: Recipe) -> float:
    """FLOP/s of a square product in the recipe's precision, under the switches in force."""
    a = tf.cast(tf.random.normal((MATMUL_SIZE, MATMUL_SIZE)), _DTYPES[recipe.precision])
    b = tf.cast(tf.random.normal((MATMUL_SIZE, MATMUL_SIZE)), _DTYPES[recipe.precision])

    def product() -> float:
        began = time.perf_counter()
        tf.linalg.matmul(a, b)
        memory.synchronize()
        return time.perf_counter() - began

    return matmul_rate(product)
