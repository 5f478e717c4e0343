"""The grid of batch sizes that a limit search uses."""

from __future__ import annotations

SINGLE_STEPS = 64  # the grid has every size up to here


def next_size(batch: int) -> int:
    """The next larger size of the grid."""
    if batch < SINGLE_STEPS:
        return batch + 1
    return batch + max(8, round(batch * 0.05 / 8) * 8)


def grid(highest: int) -> list[int]:
    """All sizes of the grid in ascending order, ending with `highest`."""
    sizes = [1]
    while sizes[-1] < highest:
        sizes.append(min(highest, next_size(sizes[-1])))
    return sizes
