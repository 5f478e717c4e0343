"""What training will take of memory, and the largest batch that fits, told without training.

A backend traces its step at two batch sizes; every buffer's bytes are a line over the batch size,
so that the two give the step at any size. The buffers are replayed through a model of the
allocator that stands below the framework, and what no buffer shows (interpreter, threads,
libraries' workspaces) is calibrated: `calibration.toml`. docs/memory-prediction.md explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.harness.predict.allocators.blocks import (
    Allocator,
    OutOfMemory,
    Replay,
    ordered,
    replay,
)
from benchmarks.harness.predict.allocators.cuda import CudaCache
from benchmarks.harness.predict.allocators.malloc import MALLOC, malloc_peak
from benchmarks.harness.predict.allocators.tensorflow import BestFitRegions, OneDnnPool
from benchmarks.harness.predict.calibration import Calibration
from benchmarks.harness.predict.largest_batch import (
    FALLING,
    LARGEST_BATCH,
    _five_percent_apart,
    _last,
)
from frameworks.contract import StepTrace

TRACED = (2, 6)  # batch sizes
ALLOCATORS: dict[str, Callable[[int | None], Allocator]] = {
    "cuda_cache": CudaCache,
    "bfc": BestFitRegions,
    "onednn_pool": OneDnnPool,
}


@dataclass(frozen=True)
class Peak:
    bytes: int  # all that the budget bounds
    parts: dict[str, int]  # of it, by what it is for


@dataclass(frozen=True)
class Process:
    """What is held beside the buffers and bounded with them; nothing on a GPU."""

    bytes: int = 0  # at the peak: the data segment
    begun_bytes: int = 0  # when training begins: the data segment
    resident_bytes: int = 0  # at the peak: pages that were touched
    late_bytes: int = 0  # of `bytes`, what comes when the buffers have taken theirs
    more_bytes: int = 0  # what may come late beside those


class Footprint:
    """What a traced step takes at any batch size."""

    def __init__(
        self,
        traces: Sequence[StepTrace],
        batch_sizes: Sequence[int],
        calibration: Calibration,
        process: Process | None = None,
    ) -> None:
        """`traces` of two batch sizes; `process` on a CPU. Raises ValueError where the two traces
        differ in more than their buffers' bytes."""
        small, large = traces
        if not (
            np.array_equal(small.taken, large.taken)
            and small.parts == large.parts
            and np.array_equal(small.given_back, large.given_back)
        ):
            raise ValueError("the step takes other buffers at another batch size")
        self.trace, self._calibration = small, calibration
        self._each = (large.bytes - small.bytes) / (batch_sizes[1] - batch_sizes[0])
        self._fixed = small.bytes - self._each * batch_sizes[0]
        self._process, self._workspaces = process, calibration.workspaces()
        self._parts = np.array(small.parts)
        self._order = ordered(small.taken, small.given_back)
        self._forget()

    def _forget(self) -> None:
        self._peaks: dict[float, Peak] = {}
        self._fits: dict[tuple[float, int], bool] = {}

    def on(self, compute_capability: str | None) -> Footprint:
        """On such a GPU, where libraries may take other workspaces."""
        other = copy(self)
        other._workspaces = self._calibration.workspaces(compute_capability)
        if other._workspaces != self._workspaces:
            other._forget()
        return other

    def at_worst(self) -> Footprint:
        """With all that may come late."""
        if self._process is None or not self._process.more_bytes:
            return self
        other, process = copy(self), self._process
        other._process = replace(
            process,
            bytes=process.bytes + process.more_bytes,
            more_bytes=0,
            late_bytes=process.late_bytes + process.more_bytes,
        )
        other._forget()
        return other

    @property
    def outside_bytes(self) -> int:
        """What is held beside the buffers and bounded with them."""
        return self._process.bytes if self._process else 0

    def sizes(self, batch: float) -> np.ndarray:
        """Bytes of every buffer, int64."""
        sizes: np.ndarray = np.rint(self._fixed + self._each * batch).astype(np.int64)
        return sizes

    def _malloc_peak(self, batch: float) -> int:
        """Bytes at the peak under glibc's malloc. Errors: OutOfMemory."""
        trace, sizes = self.trace, self.sizes(batch)
        # The weights come from a file or before all else: no hole is made or filled by them.
        first = int(np.argmin(self._parts == "weights"))
        steps = slice(first, None)
        return int(sizes[:first].sum()) + malloc_peak(
            trace.taken[steps],
            trace.given_back[steps],
            sizes[steps],
            self._calibration.small_objects,
        )

    def _replay(self, batch: float, limit: int | None = None) -> Replay:
        """Errors: OutOfMemory."""
        late = self._process.late_bytes if self._process else 0
        allocator = ALLOCATORS[self._calibration.allocator](limit and limit + late)
        for wanted in self._workspaces:
            allocator.take(wanted)
        found = replay(self._order, self.sizes(batch), allocator)
        if limit is not None and found.held.max() > limit:
            raise OutOfMemory(f"{late} bytes that come late find no room")
        return found

    def peak(self, batch: float) -> Peak:
        """Without a limit."""
        if batch not in self._peaks:
            malloc = self._calibration.allocator == MALLOC
            held = self._malloc_peak(batch) if malloc else int(self._replay(batch).held.max())
            self._peaks[batch] = Peak(held + self.outside_bytes, self._made_of(batch, held))
        return self._peaks[batch]

    def in_use(self, batch: int, budget_bytes: int) -> int:
        """What a probe within a budget sees at its peak, as `limit_pass.used_bytes` puts it
        together: the framework's own count; on a CPU with all else that was held when training
        began, or that is resident, if that is more. PyTorch keeps no count there: all that is
        held."""
        if self._calibration.allocator == MALLOC:
            return self.peak(batch).bytes
        try:
            found = self._replay(batch, budget_bytes - self.outside_bytes)
        except OutOfMemory:  # as predicted; it was taken all the same
            found = self._replay(batch)
        counted, begun = int(found.in_use.max()), self._begun(batch)
        if self._process is None:
            return counted
        else_held = int(found.held[begun] - found.in_use[begun])
        return max(
            counted + else_held + self._process.begun_bytes,
            int(found.touched.max()) + self._process.resident_bytes,
        )

    def _begun(self, batch: int) -> int:
        """The last event before training begins: the weights are there, and what made them."""
        others = (self._parts != "weights") & (self._parts != "workspace")
        first = np.argmax(others & (self.sizes(batch) >= OneDnnPool.SMALL))
        return max(0, int(self.trace.taken[first]) - 1)

    def _made_of(self, batch: float, held: int) -> dict[str, int]:
        sizes = self.sizes(batch)
        parts = self._parts_at(self._asked(sizes).argmax(), sizes)
        parts["workspace"] = parts.get("workspace", 0) + sum(self._workspaces)
        parts["allocator"] = held - sum(parts.values())
        parts["process"] = self.outside_bytes
        return parts

    def _parts_at(self, event: np.intp, sizes: np.ndarray) -> dict[str, int]:
        alive = (self.trace.taken <= event) & (self.trace.given_back > event)
        return {
            str(part): int(sizes[alive & (self._parts == part)].sum())
            for part in dict.fromkeys(self.trace.parts)
        }

    def fits(self, batch: float, budget_bytes: float) -> bool:
        """Whether the step ends within a budget, all that an allocator does to keep it tried."""
        key = batch, int(budget_bytes)
        if key not in self._fits:
            self._fits[key] = self._ends_within(*key)
        return self._fits[key]

    def _ends_within(self, batch: float, budget_bytes: int) -> bool:
        if self._asked(self.sizes(batch)).max() + self.outside_bytes > budget_bytes:
            return False
        try:
            if self._calibration.allocator == MALLOC:  # it knows no limit that it could keep to
                return self.peak(batch).bytes <= budget_bytes
            self._replay(batch, budget_bytes - self.outside_bytes)
        except OutOfMemory:
            return False
        return True

    def _asked(self, sizes: np.ndarray) -> np.ndarray:
        """Bytes of buffers of these sizes after every event, without any allocator."""
        change = np.zeros(self.trace.events + 1, np.int64)
        np.add.at(change, self.trace.taken, sizes)
        np.add.at(change, self.trace.given_back, -sizes)
        return change[:-1].cumsum()

    def limit(self, budget_bytes: float, margin: float = 0.0) -> int:
        """The largest batch that fits, with `margin` of its examples to spare, and below which none
        was found that does not; 0 where not even one example does. Where what an allocator holds
        falls from one batch to a larger one, that one could fit again: nobody who tries one size
        after the other would find it."""
        largest, sure = self.largest(budget_bytes, margin), 1
        fits = self._trial(budget_bytes, margin)
        if self._calibration.allocator in FALLING:
            for batch in _five_percent_apart(max(2, round(0.7 * largest)), largest):
                if not fits(batch):
                    return _last(fits, sure, batch)
                sure = batch
        return largest

    def _trial(self, budget_bytes: float, margin: float) -> Callable[[int], bool]:
        """Of whole examples: blocks of a fraction would lie in memory as no real ones do."""
        return lambda batch: self.fits(round(batch * (1 + margin)), budget_bytes)

    def share_of_examples(self, error: float, budget_bytes: float) -> float:
        """An error of the peak as a share of the examples, which are not all of a full budget."""
        constant = int(self._asked(self.sizes(0)).max()) + self.outside_bytes
        return error * budget_bytes / max(1, budget_bytes - constant)

    def largest(self, budget_bytes: float, margin: float = 0.0) -> int:
        """The same, whatever may fail below it."""
        fits = self._trial(budget_bytes, margin)
        if not fits(1):
            return 0
        low, high = 1, self._guess(budget_bytes)
        while high < LARGEST_BATCH and fits(high):
            low, high = high, high + max(1, high // 16)
        near = max(low, high - max(1, high // 32))  # a guess that is too high is so by little
        if near > low and fits(near):
            low = near
        return _last(fits, low, high)

    def _guess(self, budget_bytes: float) -> int:
        """From the line through the buffers at two batch sizes: what is held may rise in leaps."""
        first, second = (int(self._asked(self.sizes(batch)).max()) for batch in (4, 16))
        room = budget_bytes - self.outside_bytes - first
        return int(min(LARGEST_BATCH, max(2, 4 + 12 * room / max(1, second - first))))
