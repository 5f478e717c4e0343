"""The largest batch whose predicted peak fits a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.harness.predict.allocators.malloc import MALLOC

# Those that may hold less for a batch than for a smaller one, by more than a few examples.
FALLING = {MALLOC, "onednn_pool"}


LARGEST_BATCH = 2**20


def _last(fits: Callable[[int], bool], low: int, high: int) -> int:
    """By halves: the last batch that fits between one that does and one that does not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _five_percent_apart(low: int, high: int) -> Iterator[int]:
    while low < high:
        yield low
        low += max(1, low // 20)
