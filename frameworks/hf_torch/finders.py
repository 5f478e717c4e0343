"""Ways to find a batch limit that users of PyTorch already call."""

from __future__ import annotations

from collections.abc import Callable

from accelerate.utils import find_executable_batch_size


def accelerate(trial: Callable[[int], None], highest: int) -> int:
    """accelerate's `find_executable_batch_size`, called as a user calls it: it begins at 128,
    whatever `highest` is, and takes nine tenths after every failure that it recognises."""

    @find_executable_batch_size
    def train(batch_size: int) -> int:
        trial(batch_size)
        return batch_size

    return train()
