"""The batch sizes that a limit is searched among."""

from __future__ import annotations

SINGLE_STEPS = 64  # up to here the grid holds every size


def next_size(batch: int) -> int:
    """The next larger size of the grid."""
    if batch < SINGLE_STEPS:
        return batch + 1
    return batch + max(8, round(batch * 0.05 / 8) * 8)


def grid(highest: int) -> list[int]:
    """All sizes that are tried, rising, `highest` the last of them."""
    sizes = [1]
    while sizes[-1] < highest:
        sizes.append(min(highest, next_size(sizes[-1])))
    return sizes
