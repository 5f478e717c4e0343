"""Replays a trace's buffers through this machine's malloc, in a process of its own.

    python -m benchmarks.harness.predict.allocators.malloc_process SMALL < EVENTS

Blocks are allocated and freed and never touched, so no memory is used, while the data segment grows
and shrinks as it would: `VmData` counts what is mapped, resident or not. `EVENTS` are 64-bit
integers: a size above 0 allocates the next block, aligned to 64 bytes as frameworks do, and -n frees
the n-th. Before every block, the small objects of a tensor and its node in the graph are allocated,
of `SMALL` bytes each (such as '24,40,56'), and freed with it: they end up in the holes between
blocks and keep large blocks from fitting in again.

Prints by how many bytes the data segment grew at its peak, or 'full' where the system refused.
"""

from __future__ import annotations

import ctypes
import sys
from array import array

ALIGN = 64
SEEN_FROM = 64 * 1024  # bytes: the segment is not read after smaller blocks


def main() -> int:
    small = [int(size) for size in sys.argv[1].split(",") if size]
    events = array("q", sys.stdin.buffer.read())
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    blocks: list[list[int]] = []
    place = ctypes.c_void_p()
    with open("/proc/self/status", "rb") as status:
        start = peak = data_bytes(status)
        for event in events:
            if event < 0:
                for address in blocks[-event - 1]:
                    libc.free(address)
                continue
            objects = [*map(libc.malloc, small)]
            if libc.posix_memalign(
                ctypes.byref(place), ctypes.c_size_t(ALIGN), ctypes.c_size_t(event)
            ):
                print("full")
                return 0
            blocks.append([place.value or 0, *objects])
            if event >= SEEN_FROM:
                peak = max(peak, data_bytes(status))
    print(peak - start)
    return 0


def data_bytes(status) -> int:  # type: ignore[no-untyped-def]
    status.seek(0)
    return int(status.read().split(b"VmData:")[1].split(None, 1)[0]) * 1024


if __name__ == "__main__":
    sys.exit(main())
