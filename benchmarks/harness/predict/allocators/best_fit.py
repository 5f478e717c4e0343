"""TensorFlow's allocators: a best-fit pool of regions, and oneDNN's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from benchmarks.harness.predict.allocators.blocks import (
    KIB,
    MIB,
    Block,
    FreeBlocks,
    OutOfMemory,
    rounded,
)


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
