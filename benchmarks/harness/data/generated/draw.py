"""Choices by seed that are the same on every machine and with every numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draw:
    """Choices from PCG64's raw 64-bit output, which numpy keeps the same for good."""

    def __init__(self, seed: int, stream: str) -> None:
        self._raw = np.random.PCG64([seed, *stream.encode()]).random_raw

    def below(self, count: int) -> int:
        return int(self._raw()) % count

    def share(self) -> float:
        """Uniform in [0, 1)."""
        return (int(self._raw()) >> 11) / 2**53

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def picks(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options in random order (Fisher and Yates)."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]
