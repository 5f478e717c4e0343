"""The buffers of a traced step at any batch size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.harness.predict.allocators.best_fit import OneDnnPool
from benchmarks.harness.predict.allocators.blocks import ordered
from frameworks.contract import StepTrace

TRACED = (2, 6)  # the batch sizes at which a step is traced


class Buffers:
    """Every buffer of a step: when it is allocated and freed, what for, and its bytes, which are a
    linear function of the batch size."""

    def __init__(self, traces: Sequence[StepTrace], batch_sizes: Sequence[int]) -> None:
        """`traces` of two batch sizes. Raises ValueError where they differ in more than their
        buffers' bytes."""
        small, large = traces
        if not (
            np.array_equal(small.allocated_at, large.allocated_at)
            and small.parts == large.parts
            and np.array_equal(small.freed_at, large.freed_at)
        ):
            raise ValueError("the step takes other buffers at another batch size")
        self.trace = small
        self.order = ordered(small.allocated_at, small.freed_at)
        self._bytes_per_example = (large.bytes - small.bytes) / (batch_sizes[1] - batch_sizes[0])
        self._fixed_bytes = small.bytes - self._bytes_per_example * batch_sizes[0]
        self._parts = np.array(small.parts)

    def sizes(self, batch: float) -> np.ndarray:
        """Bytes of every buffer, int64."""
        exact = self._fixed_bytes + self._bytes_per_example * batch
        sizes: np.ndarray = np.rint(exact).astype(np.int64)
        return sizes

    def live_bytes(self, batch: float) -> np.ndarray:
        """The sum of the live buffers after every event, without any allocator."""
        sizes = self.sizes(batch)
        change = np.zeros(self.trace.events + 1, np.int64)
        np.add.at(change, self.trace.allocated_at, sizes)
        np.add.at(change, self.trace.freed_at, -sizes)
        return change[:-1].cumsum()

    def parts_at_peak(self, batch: float) -> dict[str, int]:
        """Bytes of the live buffers at the highest sum, by what they are for."""
        sizes, event = self.sizes(batch), self.live_bytes(batch).argmax()
        alive = (self.trace.allocated_at <= event) & (self.trace.freed_at > event)
        return {
            str(part): int(sizes[alive & (self._parts == part)].sum())
            for part in dict.fromkeys(self.trace.parts)
        }

    def first_after_weights(self) -> int:
        """The first buffer that does not hold weights."""
        return int(np.argmin(self._parts == "weights"))

    def last_event_before_training(self, batch: float) -> int:
        """The event after which the weights, and whatever built them, are in place."""
        others = (self._parts != "weights") & (self._parts != "workspace")
        first = np.argmax(others & (self.sizes(batch) >= OneDnnPool.SMALL))
        return max(0, int(self.trace.allocated_at[first]) - 1)
