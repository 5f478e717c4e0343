"""The predicted memory of a training step at any batch size.

The buffers of a traced step are replayed through a model of the allocator below the framework. What
no buffer shows (interpreter, threads, libraries' workspaces) is calibrated: `calibration.toml`.
docs/memory-prediction.md explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

from benchmarks.harness.predict.allocators.best_fit import BestFitRegions, OneDnnPool
from benchmarks.harness.predict.allocators.blocks import (
    AllocatorModel,
    OutOfMemory,
    Replay,
    replay,
)
from benchmarks.harness.predict.allocators.cuda import CudaCache
from benchmarks.harness.predict.allocators.malloc import MALLOC, malloc_peak
from benchmarks.harness.predict.buffers import Buffers
from benchmarks.harness.predict.calibration import Calibration
from frameworks.contract import StepTrace

ALLOCATORS: dict[str, Callable[[int | None], AllocatorModel]] = {
    "cuda_cache": CudaCache,
    "bfc": BestFitRegions,
    "onednn_pool": OneDnnPool,
}


@dataclass(frozen=True)
class Peak:
    """The most memory that a step needs."""

    bytes: int  # everything that the budget limits
    parts: dict[str, int]  # of it, by what it is for


@dataclass(frozen=True)
class Process:
    """What a process holds besides the buffers and within the same budget; nothing on a GPU."""

    bytes: int = 0  # at the peak: the data segment
    begun_bytes: int = 0  # when training begins: the data segment
    resident_bytes: int = 0  # at the peak: pages that were touched
    late_bytes: int = 0  # part of `bytes` that is allocated after the buffers
    more_bytes: int = 0  # what may be allocated after the buffers in addition


class Footprint:
    """The memory of a traced step at any batch size, under one allocator."""

    def __init__(
        self,
        traces: Sequence[StepTrace],
        batch_sizes: Sequence[int],
        calibration: Calibration,
        process: Process | None = None,
    ) -> None:
        """`traces` of two batch sizes; `process` on a CPU. Raises ValueError where the two traces
        differ in more than their buffers' bytes."""
        self.buffers = Buffers(traces, batch_sizes)
        self.allocator = calibration.allocator
        self._calibration, self._process = calibration, process
        self._workspaces = calibration.workspaces()
        self._clear_cache()

    def _clear_cache(self) -> None:
        self._peaks: dict[float, Peak] = {}
        self._fits: dict[tuple[float, int], bool] = {}

    def on(self, compute_capability: str | None) -> Footprint:
        """The footprint on such a GPU, where libraries may use other workspaces."""
        other = copy(self)
        other._workspaces = self._calibration.workspaces(compute_capability)
        if other._workspaces != self._workspaces:
            other._clear_cache()
        return other

    def at_worst(self) -> Footprint:
        """The footprint if everything is allocated late that may be."""
        if self._process is None or not self._process.more_bytes:
            return self
        other, process = copy(self), self._process
        other._process = replace(
            process,
            bytes=process.bytes + process.more_bytes,
            more_bytes=0,
            late_bytes=process.late_bytes + process.more_bytes,
        )
        other._clear_cache()
        return other

    @property
    def outside_bytes(self) -> int:
        """What the process holds besides the buffers, within the same budget."""
        return self._process.bytes if self._process else 0

    def peak(self, batch: float) -> Peak:
        """The peak without a budget. Errors: OutOfMemory where not even this machine's address
        space is large enough."""
        if batch not in self._peaks:
            held = (
                self._malloc_peak(batch)
                if self.allocator == MALLOC
                else int(self._replay(batch).held.max())
            )
            parts = self.buffers.parts_at_peak(batch)
            parts["workspace"] = parts.get("workspace", 0) + sum(self._workspaces)
            parts["allocator"] = held - sum(parts.values())
            parts["process"] = self.outside_bytes
            self._peaks[batch] = Peak(held + self.outside_bytes, parts)
        return self._peaks[batch]

    def in_use(self, batch: int, budget_bytes: int) -> int:
        """The peak that a probe within a budget reports, computed as `limits.probe.used_bytes`
        does: the framework's own count; on a CPU with everything else that was held when training
        began, or what is resident, if that is more. PyTorch does not count on a CPU: there it is
        all that is held."""
        if self.allocator == MALLOC:
            return self.peak(batch).bytes
        try:
            found = self._replay(batch, budget_bytes - self.outside_bytes)
        except OutOfMemory:  # by the prediction; the probe ran all the same
            found = self._replay(batch)
        counted = int(found.in_use.max())
        if self._process is None:
            return counted
        begun = self.buffers.last_event_before_training(batch)
        else_held = int(found.held[begun] - found.in_use[begun])
        return max(
            counted + else_held + self._process.begun_bytes,
            int(found.touched.max()) + self._process.resident_bytes,
        )

    def fits(self, batch: float, budget_bytes: float) -> bool:
        """Whether the step fits a budget, with all that the allocator does to stay within it."""
        key = batch, int(budget_bytes)
        if key not in self._fits:
            self._fits[key] = self._runs_within(*key)
        return self._fits[key]

    def _runs_within(self, batch: float, budget_bytes: int) -> bool:
        if self.buffers.live_bytes(batch).max() + self.outside_bytes > budget_bytes:
            return False
        try:
            if self.allocator == MALLOC:  # it does nothing to stay within a budget
                return self.peak(batch).bytes <= budget_bytes
            self._replay(batch, budget_bytes - self.outside_bytes)
        except OutOfMemory:
            return False
        return True

    def _replay(self, batch: float, limit: int | None = None) -> Replay:
        """Errors: OutOfMemory."""
        late = self._process.late_bytes if self._process else 0
        model = ALLOCATORS[self.allocator](limit and limit + late)
        for wanted in self._workspaces:
            model.take(wanted)
        found = replay(self.buffers.order, self.buffers.sizes(batch), model)
        if limit is not None and found.held.max() > limit:
            raise OutOfMemory(f"no room for the {late} bytes that are allocated late")
        return found

    def _malloc_peak(self, batch: float) -> int:
        """Bytes at the peak under glibc's malloc. Errors: OutOfMemory."""
        trace, sizes = self.buffers.trace, self.buffers.sizes(batch)
        # The weights are allocated from a file or before everything else: they leave no holes.
        first = self.buffers.first_after_weights()
        steps = slice(first, None)
        return int(sizes[:first].sum()) + malloc_peak(
            trace.allocated_at[steps],
            trace.freed_at[steps],
            sizes[steps],
            self._calibration.small_objects,
        )
