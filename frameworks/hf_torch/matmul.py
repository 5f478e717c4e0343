"""The matrix rate that this framework reaches on this device, the yardstick of MFU."""

from __future__ import annotations

import time

import torch

from frameworks.contract import MATMUL_SIZE, Recipe, matmul_rate
from frameworks.hf_torch import memory, model

_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def flops_per_second(recipe: Recipe) -> float:
    """FLOP/s of a square product in the recipe's precision, under the switches in force."""
    place = "cuda" if model.device() == "gpu" else "cpu"
    a = torch.randn(MATMUL_SIZE, MATMUL_SIZE, device=place).to(_DTYPES[recipe.precision])
    b = torch.randn(MATMUL_SIZE, MATMUL_SIZE, device=place).to(_DTYPES[recipe.precision])

    def product() -> float:
        began = time.perf_counter()
        with torch.no_grad():
            torch.matmul(a, b)
        memory.synchronize()
        return time.perf_counter() - began

    return matmul_rate(product)
