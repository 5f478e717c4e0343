"""The matrix rate that this framework reaches on this device, the yardstick of MFU."""

from __future__ import annotations

import torch

from frameworks.contract import MATMUL_SIZES, Recipe, matmul_rate
from frameworks.hf_torch import device, model, precision

_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def flops_per_second(recipe: Recipe) -> float:
    """FLOP/s of a square product in the recipe's precision, under the switches in force."""
    place, size = precision.place(), MATMUL_SIZES[model.device()]
    a = torch.randn(size, size, device=place).to(_DTYPES[recipe.precision])
    b = torch.randn(size, size, device=place).to(_DTYPES[recipe.precision])

    def products(count: int) -> None:
        with torch.no_grad():
            for _ in range(count):
                torch.matmul(a, b)
        device.synchronize()

    return matmul_rate(products, size)
