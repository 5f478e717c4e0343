"""PyTorch's caching allocator of a GPU."""

from __future__ import annotations

from benchmarks.harness.predict.allocators.blocks import (
    MIB,
    Block,
    FreeBlocks,
    OutOfMemory,
    rounded,
)


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
