"""The largest batch whose predicted memory fits a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.harness.predict.allocators.malloc import MALLOC
from benchmarks.harness.predict.footprint import Footprint

# Allocators that may hold less for a batch than for a smaller one, by more than a few examples.
NOT_MONOTONIC = {MALLOC, "onednn_pool"}
LARGEST_BATCH = 2**20


def limit(footprint: Footprint, budget_bytes: float, margin: float = 0.0) -> int:
    """The largest batch that fits with `margin` of its examples to spare, and below which no batch
    was found that does not fit; 0 where not even one example does. If an allocator holds less for a
    larger batch, that batch may fit again, but nobody who tries one size after the other would
    find it."""
    highest, sure = largest(footprint, budget_bytes, margin), 1
    fits = _trial(footprint, budget_bytes, margin)
    if footprint.allocator in NOT_MONOTONIC:
        for batch in _five_percent_apart(max(2, round(0.7 * highest)), highest):
            if not fits(batch):
                return _last(fits, sure, batch)
            sure = batch
    return highest


def largest(footprint: Footprint, budget_bytes: float, margin: float = 0.0) -> int:
    """The same, regardless of smaller batches that may not fit."""
    fits = _trial(footprint, budget_bytes, margin)
    if not fits(1):
        return 0
    low, high = 1, _guess(footprint, budget_bytes)
    while high < LARGEST_BATCH and fits(high):
        low, high = high, high + max(1, high // 16)
    near = max(low, high - max(1, high // 32))  # a guess that is too high is only slightly so
    if near > low and fits(near):
        low = near
    return _last(fits, low, high)


def share_of_examples(footprint: Footprint, error: float, budget_bytes: float) -> float:
    """An error of the peak as a share of the examples, which fill only a part of a budget."""
    constant = int(footprint.buffers.live_bytes(0).max()) + footprint.outside_bytes
    return error * budget_bytes / max(1, budget_bytes - constant)


def _trial(footprint: Footprint, budget_bytes: float, margin: float) -> Callable[[int], bool]:
    """Tries whole examples only: fractions of blocks would be placed as no real ones are."""
    return lambda batch: footprint.fits(round(batch * (1 + margin)), budget_bytes)


def _guess(footprint: Footprint, budget_bytes: float) -> int:
    """From a line through the live buffers at two batch sizes; held memory may grow in jumps."""
    first, second = (int(footprint.buffers.live_bytes(batch).max()) for batch in (4, 16))
    room = budget_bytes - footprint.outside_bytes - first
    return int(min(LARGEST_BATCH, max(2, 4 + 12 * room / max(1, second - first))))


def _last(fits: Callable[[int], bool], low: int, high: int) -> int:
    """By bisection: the last batch that fits between one that does and one that does not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _five_percent_apart(low: int, high: int) -> Iterator[int]:
    while low < high:
        yield low
        low += max(1, low // 20)
