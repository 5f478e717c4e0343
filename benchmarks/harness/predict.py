"""What training will take of memory, and the largest batch that fits, told without training.

A backend traces its step at two batch sizes; every buffer's bytes are a line over the batch size,
so that the two give the step at any size. The buffers are replayed through a model of the
allocator that stands below the framework, and what no buffer shows (interpreter, threads,
libraries' workspaces) is calibrated: `calibration.toml`. docs/memory-prediction.md explains it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.harness.allocators import (
    Allocator,
    BestFitRegions,
    CudaCache,
    OneDnnPool,
    OutOfMemory,
    malloc_peak,
    replay,
)
from benchmarks.harness.errors import UserError
from benchmarks.harness.predict_pass import Answer, Ask, Request, load
from benchmarks.harness.prepare import environment
from frameworks.contract import BACKENDS, Device, Precision, StepTrace

TRACED = (2, 6)  # batch sizes
ALLOCATORS: dict[str, Callable[[int | None], Allocator]] = {
    "cuda_cache": CudaCache,
    "bfc_growth": lambda limit: BestFitRegions(limit, growth=True),
    "onednn_pool": OneDnnPool,
}
MALLOC = "malloc"  # not a model: see allocators.malloc_peak
LARGEST_BATCH = 2**20


class Calibration(BaseModel):
    """One table of calibration.toml, which says what each figure means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allocator: str
    small_objects: tuple[int, ...] = ()
    started_bytes: dict[Precision, int] = Field(default_factory=dict)
    workspaces_bytes: tuple[int, ...] = ()
    error: float
    how: str
    cases: tuple[str, ...] = ()


@cache
def calibrations() -> dict[str, dict[Device, Calibration]]:
    """By backend and kind of device."""
    text = resources.files("benchmarks.harness").joinpath("calibration.toml").read_text("utf-8")
    return {backend: {kind: Calibration.model_validate(row) for kind, row in kinds.items()}
            for backend, kinds in tomllib.loads(text).items()}


@dataclass(frozen=True)
class Peak:
    bytes: int  # all that the budget bounds
    parts: dict[str, int]  # of it, by what it is for


class Footprint:
    """What a traced step takes at any batch size."""

    def __init__(self, traces: Sequence[StepTrace], batch_sizes: Sequence[int],
                 calibration: Calibration, outside_bytes: int) -> None:
        """`traces` of two batch sizes; `outside_bytes` are those of the process that the budget
        bounds too and no buffer shows. Raises ValueError where the two traces differ in more than
        their buffers' bytes."""
        small, large = traces
        if not (np.array_equal(small.taken, large.taken) and small.parts == large.parts
                and np.array_equal(small.given_back, large.given_back)):
            raise ValueError("the step takes other buffers at another batch size")
        self.trace, self._calibration = small, calibration
        self._each = (large.bytes - small.bytes) / (batch_sizes[1] - batch_sizes[0])
        self._fixed = small.bytes - self._each * batch_sizes[0]
        self.outside_bytes = outside_bytes
        self._peaks: dict[int, Peak] = {}
        self._parts = np.array(small.parts)

    def sizes(self, batch: int) -> np.ndarray:
        """Bytes of every buffer, int64."""
        sizes: np.ndarray = np.rint(self._fixed + self._each * batch).astype(np.int64)
        return sizes

    def _held(self, batch: int, limit: int | None) -> int:
        """Bytes at the peak with the allocator's holes. Errors: OutOfMemory."""
        trace, sizes = self.trace, self.sizes(batch)
        if self._calibration.allocator == MALLOC:
            # The weights come from a file or before all else: no hole is made or filled by them.
            first = int(np.argmin(self._parts == "weights"))
            steps = slice(first, None)
            return int(sizes[:first].sum()) + malloc_peak(
                trace.taken[steps], trace.given_back[steps], sizes[steps],
                self._calibration.small_objects)
        allocator = ALLOCATORS[self._calibration.allocator](limit)
        for wanted in self._calibration.workspaces_bytes:
            allocator.take(wanted)
        return replay(trace.taken, trace.given_back, sizes, allocator).peak_bytes

    def peak(self, batch: int) -> Peak:
        """Without a limit."""
        if batch not in self._peaks:
            held = self._held(batch, None)
            parts = self._parts_at(self._asked(batch).argmax(), self.sizes(batch))
            parts["workspace"] = parts.get("workspace", 0) + sum(
                self._calibration.workspaces_bytes)
            parts["allocator"] = held - sum(parts.values())
            parts["process"] = self.outside_bytes
            self._peaks[batch] = Peak(held + self.outside_bytes, parts)
        return self._peaks[batch]

    def _parts_at(self, event: np.intp, sizes: np.ndarray) -> dict[str, int]:
        alive = (self.trace.taken <= event) & (self.trace.given_back > event)
        return {str(part): int(sizes[alive & (self._parts == part)].sum())
                for part in dict.fromkeys(self.trace.parts)}

    def fits(self, batch: int, budget_bytes: float) -> bool:
        """Whether the step ends within a budget, all that an allocator does to keep it tried."""
        if self._asked(batch).max() + self.outside_bytes > budget_bytes:
            return False
        try:
            if self.peak(batch).bytes <= budget_bytes:
                return True
            if self._calibration.allocator == MALLOC:  # it gives nothing up and tries again
                return False
            self._held(batch, int(budget_bytes) - self.outside_bytes)
        except OutOfMemory:
            return False
        return True

    def _asked(self, batch: int) -> np.ndarray:
        """Bytes of the buffers after every event, without any allocator."""
        sizes = self.sizes(batch)
        change = np.zeros(self.trace.events + 1, np.int64)
        np.add.at(change, self.trace.taken, sizes)
        np.add.at(change, self.trace.given_back, -sizes)
        return change[:-1].cumsum()

    def limit(self, budget_bytes: float) -> int:
        """The largest batch that fits; 0 where not even one example does."""
        if not self.fits(1, budget_bytes):
            return 0
        low, high = 1, self._guess(budget_bytes)
        while high < LARGEST_BATCH and self.fits(high, budget_bytes):
            low, high = high, high + max(1, high // 16)
        near = max(low, high - max(1, high // 32))  # a guess that is too high is so by little
        if near > low and self.fits(near, budget_bytes):
            low = near
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(middle, budget_bytes) else (low, middle)
        return low

    def _guess(self, budget_bytes: float) -> int:
        """From the line through two peaks."""
        first, second = self.peak(4).bytes, self.peak(16).bytes
        each = (second - first) / 12
        return int(min(LARGEST_BATCH, max(2, 4 + (budget_bytes - first) / each)))


@dataclass(frozen=True)
class Refusal:
    """Why a backend cannot follow a step."""

    reason: str


def footprints(backend: str, asks: Sequence[Ask]) -> list[Footprint | Refusal]:
    """One per ask, traced in a worker process of the backend's framework.

    Errors: UserError where the worker fails."""
    with tempfile.TemporaryDirectory(prefix="ftbench-") as name:
        folder = Path(name)
        request = folder / "request.json"
        request.write_text(Request(backend=backend, asks=list(asks)).model_dump_json(), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.harness.predict_pass", str(request), str(folder)],
            env={**os.environ, **environment(backend, "cpu")}, cwd=Path(__file__).parents[2],
            capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{BACKENDS[backend].title} could not be traced: {last}")
        answer = Answer.model_validate_json((folder / "answer.json").read_text("utf-8"))
        return [Refusal(answer.refusals[i]) if i in answer.refusals
                else _footprint(backend, ask, answer, folder, i) for i, ask in enumerate(asks)]


def _footprint(backend: str, ask: Ask, answer: Answer, folder: Path, place: int) -> Footprint:
    traces = [load(folder / f"{place}-{size}.npz") for size in ask.batch_sizes]
    calibration = calibrations()[backend][ask.device]
    outside = 0
    if ask.device == "cpu":
        started = calibration.started_bytes.get(ask.recipe.precision, 0)
        outside = (answer.process_bytes or 0) + started
    return Footprint(traces, ask.batch_sizes, calibration, outside)
