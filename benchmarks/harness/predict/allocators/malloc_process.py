"""A trace's buffers through the malloc of this machine itself, in a process of its own.

    python -m benchmarks.harness.predict.allocators.malloc_process SMALL < EVENTS

Blocks are taken and given back and never touched, so that no memory is used, while the data
segment grows and shrinks as it would: `VmData` counts what is mapped, resident or not. `EVENTS` are
64-bit integers: a size above 0 takes the next block, aligned to 64 bytes as frameworks ask, and
-n gives back the n-th. Before every block come small objects of a tensor and its place in the
graph, of `SMALL` bytes each (as '24,40,56'): they go with it, land in the holes between blocks, and
are what keeps a hole from taking a large block again.

Prints the peak of the data segment over its start, in bytes, or 'full' where the system refused.
"""

from __future__ import annotations

import ctypes
import sys
from array import array

ALIGN = 64
SEEN_FROM = 64 * 1024  # bytes: smaller blocks are not looked at one by one


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
