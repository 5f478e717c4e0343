"""Replays a trace's buffers through this machine's malloc, in a process of its own.

    python -I -S malloc_process.py < NUMBERS

`NUMBERS` are 64-bit integers: how many small objects precede every block, the bytes of each, then the
events. An event above 0 allocates the next block of so many bytes, aligned to 64 bytes as frameworks do,
and -n frees the n-th. The small objects are a tensor and its node in the graph: they are allocated before
their block and freed after it, end up in the holes between blocks and keep large blocks from fitting in
again.

Blocks are allocated and freed and never touched, so no memory is used, while the data segment grows
and shrinks as it would: `VmData` counts what is mapped, resident or not.

One small object in another hole can move the peak by several MiB, so the heap has to be the same in every
folder and environment: what Python's start left free is filled first, and between the events nothing is
allocated but the blocks and their objects. (Python's own objects are too small for malloc; they lie in
arenas that it maps.)

Prints by how many bytes the data segment grew at its peak, or 'full' where the system refused.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

ALIGN = 64
SEEN_FROM = 64 * 1024  # bytes: the segment is not read after smaller blocks
HEADER, PAGE = 8, 4096  # bytes: what malloc puts before a block, and the unit in which a heap grows
MOST_HOLES = 100_000  # of one size; another malloc than glibc's may have no heap to fill

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.sbrk.argtypes = [ctypes.c_ssize_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.posix_memalign.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]


class DataSegment:
    """This process's private writable memory, read without an allocation."""

    def __init__(self) -> None:
        self._status = os.open("/proc/self/status", os.O_RDONLY)
        self._text = bytearray(PAGE)

    def bytes(self) -> int:
        os.preadv(self._status, [self._text], 0)
        at = self._text.index(b"VmData:") + len(b"VmData:")
        return int(self._text[at : self._text.index(b"kB", at)]) * 1024


def fill_holes() -> None:
    """Fills every free block of the heap, and leaves free space of one size behind its last block."""
    highest = extend_heap()
    for size in (*(2**power for power in range(15, 10, -1)), *range(1032, 23, -16)):
        for _ in range(MOST_HOLES):
            address = libc.malloc(size)
            if address > highest:
                highest = address
                break
    libc.malloc(-libc.malloc(PAGE) % PAGE + PAGE - HEADER)
    extend_heap()


def extend_heap() -> int:
    """Allocates until the heap grows; the last block's address."""
    end = libc.sbrk(0)
    for _ in range(MOST_HOLES):
        address: int = libc.malloc(16 * PAGE - HEADER)
        if libc.sbrk(0) != end:
            break
    return address


def replay(small: list[int], events: memoryview) -> int | None:
    """Bytes by which the data segment grew at its peak; None where the system refused."""
    width = 1 + len(small)
    places = (ctypes.c_void_p * (width * len(events)))()
    first = ctypes.addressof(places)
    word = ctypes.sizeof(ctypes.c_void_p)
    segment = DataSegment()
    segment.bytes()
    fill_holes()
    start = peak = segment.bytes()
    place = 0
    for event in events:
        if event < 0:
            block = (-event - 1) * width
            for i in range(block, block + width):
                libc.free(places[i])
            continue
        for i, size in enumerate(small, place + 1):
            places[i] = libc.malloc(size)
        if libc.posix_memalign(first + place * word, ALIGN, event):
            return None
        place += width
        if event >= SEEN_FROM:
            peak = max(peak, segment.bytes())
    return peak - start


def main() -> int:
    gc.disable()
    numbers = memoryview(sys.stdin.buffer.read()).cast("q")
    count = numbers[0]
    grown = replay(numbers[1 : 1 + count].tolist(), numbers[1 + count :])
    print("full" if grown is None else grown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
