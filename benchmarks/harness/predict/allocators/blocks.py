"""Models of the allocators between a framework's buffers and the memory that it holds.

Each gets a trace's buffers one after the other, in the order in which the framework would allocate
them, and counts what it would have allocated from the device or the system. No memory is used.

* `CudaCache` - PyTorch's caching allocator (c10/cuda/CUDACachingAllocator.cpp): sizes rounded to
  512 B; requests up to 1 MiB split from segments of 2 MiB, below 10 MiB from segments of 20 MiB,
  others from one of their own, rounded to 2 MiB; best fit, split and merged again.
* `BestFitRegions` - TensorFlow's BFC allocator (xla/tsl/framework/bfc_allocator.cc): sizes rounded
  to 256 B; one region of the whole budget, or regions that double; a block is cut only when half
  of it or 128 MiB would be left over.
* `OneDnnPool` - TensorFlow's on an x86 processor (core/common_runtime/mkl_cpu_allocator.h): BFC
  with regions that double, and malloc for what is smaller than 256 KiB.
* `malloc_peak` - glibc's malloc, as RLIMIT_DATA counts it: not a model, but malloc itself, with
  blocks that are never touched.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

import numpy as np

KIB, MIB = 1024, 1024**2


class OutOfMemory(Exception):
    """The budget cannot hold the next buffer."""


@dataclass(eq=False, slots=True)
class Block:
    """A range of memory between two neighbours in its segment."""

    address: int
    bytes: int
    before: Block | None = None
    after: Block | None = None
    free: bool = False


class AllocatorModel(Protocol):
    @property
    def held_bytes(self) -> int:
        """Allocated from the device or the system."""

    @property
    def in_use_bytes(self) -> int:
        """The sum of the allocated blocks: the framework's own count."""

    @property
    def touched_bytes(self) -> int:
        """The part of `held_bytes` that was allocated at any time."""

    def take(self, wanted: int) -> Block:
        """Errors: OutOfMemory."""

    def give_back(self, block: Block) -> None: ...


@dataclass(frozen=True, eq=False)
class Replay:
    """Bytes after every event of a trace."""

    held: np.ndarray
    in_use: np.ndarray
    touched: np.ndarray


def replay(
    order: Sequence[tuple[int, int]], sizes: np.ndarray, allocator: AllocatorModel
) -> Replay:
    """Replays a trace's buffers through an allocator, in the order of `ordered`.

    Errors: OutOfMemory."""
    blocks: dict[int, Block] = {}
    after = np.zeros((3, order[-1][0] + 1), np.int64)
    for event, buffer in order:
        if buffer < 0:
            allocator.give_back(blocks.pop(~buffer))
        else:
            blocks[buffer] = allocator.take(int(sizes[buffer]))
        after[:, event] = (allocator.held_bytes, allocator.in_use_bytes, allocator.touched_bytes)
    return Replay(*after)


def ordered(allocated_at: np.ndarray, freed_at: np.ndarray) -> list[tuple[int, int]]:
    """(event, buffer) in the order of events; buffer i is ~i where it is freed."""
    order = [(int(event), i) for i, event in enumerate(allocated_at)]
    return sorted(order + [(int(event), ~i) for i, event in enumerate(freed_at)])


class FreeBlocks:
    """Free blocks by size. The smallest that is large enough is used, and of those the lowest."""

    ORDER = staticmethod(attrgetter("bytes", "address"))  # no two blocks have the same address

    def __init__(self) -> None:
        self._sorted: list[Block] = []

    def __iter__(self) -> Iterator[Block]:
        return iter(list(self._sorted))

    def fit(self, wanted: int) -> Block | None:
        place = bisect_left(self._sorted, (wanted, 0), key=self.ORDER)
        if place == len(self._sorted):
            return None
        block = self._sorted.pop(place)
        block.free = False
        return block

    def put(self, block: Block) -> Block:
        """Frees a block and merges it with its free neighbours."""
        if block.before and block.before.free:
            self.remove(block.before)
            block = _joined(block.before, block)
        if block.after and block.after.free:
            self.remove(block.after)
            block = _joined(block, block.after)
        block.free = True
        insort(self._sorted, block, key=self.ORDER)
        return block

    def remove(self, block: Block) -> None:
        block.free = False
        del self._sorted[bisect_left(self._sorted, self.ORDER(block), key=self.ORDER)]

    def cut(self, block: Block, wanted: int) -> None:
        """Splits a block in use after its first `wanted` bytes; the rest is freed."""
        rest = Block(block.address + wanted, block.bytes - wanted, block, block.after)
        if rest.after:
            rest.after.before = rest
        block.bytes, block.after = wanted, rest
        self.put(rest)


def _joined(first: Block, second: Block) -> Block:
    first.bytes += second.bytes
    first.after = second.after
    if first.after:
        first.after.before = first
    return first


def rounded(wanted: int, step: int) -> int:
    return -(-wanted // step) * step
