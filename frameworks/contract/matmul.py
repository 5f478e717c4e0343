"""The matrix rate of a device, to which MFU relates."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

MATMUL_SIZE = 2048  # rows and columns of the measured product
MATMUL_REPEATS = 7


def matmul_rate(product: Callable[[], float]) -> float:
    """FLOP/s of a square product of MATMUL_SIZE; `product` computes it once and returns its
    seconds. The median of several, after a first one that warms up."""
    product()
    seconds = median(product() for _ in range(MATMUL_REPEATS))
    return 2 * MATMUL_SIZE**3 / seconds
