"""Models of the allocators that stand between a framework's buffers and the memory that it holds.

Each is given a trace's buffers one after the other, as the framework would ask for them, and
tells what it would have taken from the device or the system. No memory is used.

* `CudaCache` - PyTorch's caching allocator (c10/cuda/CUDACachingAllocator.cpp): sizes rounded to
  512 B; requests up to 1 MiB cut from segments of 2 MiB, below 10 MiB from segments of 20 MiB,
  others from one of their own, rounded to 2 MiB; best fit, split and merged again.
* `BestFitRegions` - TensorFlow's BFC allocator (xla/tsl/framework/bfc_allocator.cc): sizes rounded
  to 256 B; one region of the whole budget, or regions that double; a block is cut only when half
  of it or 128 MiB would be left over.
* `OneDnnPool` - TensorFlow's on an x86 processor (core/common_runtime/mkl_cpu_allocator.h): BFC
  with regions that double, and malloc for what is smaller than 256 KiB.
* `malloc_peak` - glibc's malloc, as RLIMIT_DATA sees it: no model, but malloc itself, given blocks
  that nobody touches.
"""

from __future__ import annotations

import subprocess
import sys
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Protocol

import numpy as np

KIB, MIB = 1024, 1024**2


class OutOfMemory(Exception):
    """The budget cannot hold the next buffer."""


@dataclass(eq=False, slots=True)
class Block:
    """A stretch of memory between two neighbours in its segment."""

    address: int
    bytes: int
    before: Block | None = None
    after: Block | None = None
    free: bool = False


class Allocator(Protocol):
    @property
    def held_bytes(self) -> int:
        """Taken from the device or the system."""

    @property
    def in_use_bytes(self) -> int:
        """Given out, whole blocks: what the framework's own count shows."""

    @property
    def touched_bytes(self) -> int:
        """Of `held_bytes`, what was ever given out."""

    def take(self, wanted: int) -> Block:
        """Errors: OutOfMemory."""

    def give_back(self, block: Block) -> None: ...


@dataclass(frozen=True, eq=False)
class Replay:
    """Bytes after every event of a trace."""

    held: np.ndarray
    in_use: np.ndarray
    touched: np.ndarray


def replay(order: Sequence[tuple[int, int]], sizes: np.ndarray, allocator: Allocator) -> Replay:
    """A trace's buffers through an allocator, in the order of `ordered`. Errors: OutOfMemory."""
    blocks: dict[int, Block] = {}
    after = np.zeros((3, order[-1][0] + 1), np.int64)
    for event, buffer in order:
        if buffer < 0:
            allocator.give_back(blocks.pop(~buffer))
        else:
            blocks[buffer] = allocator.take(int(sizes[buffer]))
        after[:, event] = (allocator.held_bytes, allocator.in_use_bytes, allocator.touched_bytes)
    return Replay(*after)


def ordered(taken: np.ndarray, given_back: np.ndarray) -> list[tuple[int, int]]:
    """(event, buffer) in the order of events, buffer i as ~i where it is given back."""
    order = [(int(event), i) for i, event in enumerate(taken)]
    return sorted(order + [(int(event), ~i) for i, event in enumerate(given_back)])


class FreeBlocks:
    """Free blocks by size; the smallest that is large enough is taken, the lowest of those."""

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
        """Frees a block and makes one of it and its free neighbours."""
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
        """Leaves a block in use its first `wanted` bytes; the rest is free."""
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


class CudaCache:
    """PyTorch's caching allocator on one stream. Above its limit it gives back every segment that
    is wholly free and tries again."""

    ROUND = 512
    SMALL, SMALL_SEGMENT = MIB, 2 * MIB
    MIDDLE, MIDDLE_SEGMENT = 10 * MIB, 20 * MIB
    LARGE_STEP = 2 * MIB

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit = limit_bytes
        self._pools = {True: FreeBlocks(), False: FreeBlocks()}
        self._next_address = 0
        self.held_bytes = self.in_use_bytes = 0

    def take(self, wanted: int) -> Block:
        wanted = max(self.ROUND, rounded(wanted, self.ROUND))
        small = wanted <= self.SMALL
        pool = self._pools[small]
        block = pool.fit(wanted) or self._segment(wanted)
        rest = block.bytes - wanted
        if rest >= self.ROUND if small else rest > self.SMALL:
            pool.cut(block, wanted)
        self.in_use_bytes += block.bytes
        return block

    def _segment(self, wanted: int) -> Block:
        size = (
            self.SMALL_SEGMENT
            if wanted <= self.SMALL
            else self.MIDDLE_SEGMENT
            if wanted < self.MIDDLE
            else rounded(wanted, self.LARGE_STEP)
        )
        if self._limit is not None and self.held_bytes + size > self._limit:
            self._give_up_free_segments()
            if self.held_bytes + size > self._limit:
                raise OutOfMemory(f"{size} bytes more than {self.held_bytes}")
        block = Block(self._next_address, size)
        self.held_bytes += size
        self._next_address += size
        return block

    @property
    def touched_bytes(self) -> int:
        return self.held_bytes

    def _give_up_free_segments(self) -> None:
        for pool in self._pools.values():
            for block in pool:
                if block.before is None and block.after is None:
                    pool.remove(block)
                    self.held_bytes -= block.bytes

    def give_back(self, block: Block) -> None:
        self.in_use_bytes -= block.bytes
        # A block of a small segment is small, one of a large segment never: no split leaves it so.
        self._pools[block.bytes <= self.SMALL].put(block)


class BestFitRegions:
    """TensorFlow's BFC allocator. With `growth` it takes regions that double; without, one of its
    whole budget, and `held_bytes` is the part of it below the highest block that was ever in
    use."""

    ROUND = 256
    FIRST_REGION = 2 * MIB
    LARGEST_REST = 128 * MIB
    BACK_OFF = 0.9
    HANDLE = 8  # bytes; a region keeps one for each `ROUND` bytes in the host's memory
    ENDLESS = 1 << 60

    def __init__(
        self,
        limit_bytes: int | None = None,
        *,
        growth: bool = False,
        room: Callable[[], int] | None = None,
    ) -> None:
        """`room` says how many bytes more the system would give; where it is given the regions lie
        in the host's memory, so that their handles count too. The first region that it refuses is
        tried again in steps of nine tenths (`started_backpedal_`); any other is the end, and so
        are handles that it refuses (`AllocationRegion`)."""
        whole = self.ENDLESS if limit_bytes is None else limit_bytes
        self._limit = whole // self.ROUND * self.ROUND
        self._growth, self._room, self._backed_off = growth, room, False
        self._next_region = self.FIRST_REGION if growth else self._limit
        self._free = FreeBlocks()
        self._regions_bytes = self._handles_bytes = 0
        self._starts: list[int] = []  # of regions
        self._tops: list[int] = []  # the highest end in each of what was asked for
        self.in_use_bytes = self.touched_bytes = 0

    def take(self, wanted: int) -> Block:
        wanted = max(self.ROUND, rounded(wanted, self.ROUND))
        block = self._free.fit(wanted) or self._region(wanted)
        rest = block.bytes - wanted
        if rest >= min(wanted, self.LARGEST_REST):
            self._free.cut(block, wanted)
        region = bisect_right(self._starts, block.address) - 1
        higher = max(0, block.address + wanted - self._tops[region])
        self._tops[region] += higher
        self.touched_bytes += higher
        self.in_use_bytes += block.bytes
        return block

    @property
    def held_bytes(self) -> int:
        return self._regions_bytes + self._handles_bytes if self._growth else self.touched_bytes

    def _region(self, wanted: int) -> Block:
        available = self._limit - self._regions_bytes
        room = self._room() if self._room else available
        full = OutOfMemory(f"{wanted} bytes more than {self._regions_bytes}")
        if wanted > min(available, room):
            raise full
        enough = self._next_region >= wanted
        while self._next_region < wanted:
            self._next_region *= 2
        size = min(self._next_region, available)
        if size > room:
            if self._backed_off:
                raise full
            self._backed_off = True
            while size > room:
                size = rounded(int(size * self.BACK_OFF), self.ROUND)
            if size < wanted:
                raise full
        if self._room:
            handles = size // self.ROUND * self.HANDLE
            if size + handles > room:
                raise full
            self._handles_bytes += handles
            self.touched_bytes += handles
        if enough:  # it doubles for the next one, unless it had to already
            self._next_region *= 2
        # A gap keeps regions apart: they are never merged.
        block = Block(2 * self._regions_bytes, size)
        self._regions_bytes += size
        self._starts.append(block.address)
        self._tops.append(block.address)
        return block

    def give_back(self, block: Block) -> None:
        self.in_use_bytes -= block.bytes
        self._free.put(block)


class Plain:
    """Holds what it was asked for: small buffers, whose holes others fill."""

    def __init__(self) -> None:
        self.held_bytes = 0

    def take(self, wanted: int) -> Block:
        self.held_bytes += wanted
        return Block(0, wanted)

    def give_back(self, block: Block) -> None:
        self.held_bytes -= block.bytes


class OneDnnPool:
    """TensorFlow's allocator on an x86 processor: `BestFitRegions` that grow for buffers from
    256 KiB on, `Plain` for the others."""

    SMALL = 256 * KIB

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit = limit_bytes
        self._small = Plain()
        self._large = BestFitRegions(growth=True, room=self._left)
        self._large_blocks: set[Block] = set()

    @property
    def held_bytes(self) -> int:
        return self._small.held_bytes + self._large.held_bytes

    @property
    def in_use_bytes(self) -> int:
        return self._large.in_use_bytes  # TensorFlow counts no others

    @property
    def touched_bytes(self) -> int:
        return self._small.held_bytes + self._large.touched_bytes

    def _left(self) -> int:
        return BestFitRegions.ENDLESS if self._limit is None else self._limit - self.held_bytes

    def take(self, wanted: int) -> Block:
        if wanted >= self.SMALL:
            block = self._large.take(wanted)
            self._large_blocks.add(block)
            return block
        block = self._small.take(wanted)
        if self._left() < 0:
            raise OutOfMemory(f"{wanted} bytes more than the budget")
        return block

    def give_back(self, block: Block) -> None:
        if block in self._large_blocks:
            self._large_blocks.remove(block)
            self._large.give_back(block)
        else:
            self._small.give_back(block)


def malloc_peak(
    taken: np.ndarray, given_back: np.ndarray, sizes: np.ndarray, small_objects: Sequence[int]
) -> int:
    """Bytes that the data segment grows by when glibc's malloc itself takes and gives back the
    buffers, in a process of its own: see `malloc_replay`. Errors: OutOfMemory."""
    events = array("q")
    numbers: dict[int, int] = {}
    for _, buffer in ordered(taken, given_back):
        if buffer < 0:
            events.append(-numbers[~buffer])
        elif sizes[buffer] > 0:
            numbers[buffer] = len(numbers) + 1
            events.append(int(sizes[buffer]))
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-m",
            "benchmarks.harness.predict.allocators.malloc_process",
            ",".join(map(str, small_objects)),
        ],
        input=events.tobytes(),
        capture_output=True,
        cwd=Path(__file__).parents[4],
        check=True,
    )
    answer = done.stdout.decode().strip()
    if answer == "full":
        raise OutOfMemory("the system has no address space for it")
    return int(answer)
