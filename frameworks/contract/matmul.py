"""The matrix rate of a device, to which MFU relates."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil
from statistics import median

from frameworks.contract.recipe import Device

# Rows and columns of the measured product. A GPU needs a large one: a product of 2048 takes it as
# long as the call that starts it.
MATMUL_SIZES: dict[Device, int] = {"cpu": 2048, "gpu": 8192}
QUEUE_SECONDS = 0.2  # at least so much work is queued between two readings of the clock
HIGHEST_QUEUE = 200
MATMUL_REPEATS = 5


def matmul_rate(products: Callable[[int], None], size: int) -> float:
    """FLOP/s of a square product with `size` rows. `products` starts so many products, one after the
    other, and waits for the last. The median of several queues, after one that warms up."""
    products(1)
    count = min(HIGHEST_QUEUE, ceil(QUEUE_SECONDS / _seconds(products, 1)))
    seconds = median(_seconds(products, count) for _ in range(MATMUL_REPEATS))
    return 2 * size**3 * count / seconds


def _seconds(products: Callable[[int], None], count: int) -> float:
    began = time.perf_counter()
    products(count)
    return time.perf_counter() - began
