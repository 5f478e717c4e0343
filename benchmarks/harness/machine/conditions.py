"""What tilts a race besides the work: the cores that this process may use, and its allocator."""

from __future__ import annotations

import os
import re
from itertools import groupby
from pathlib import Path

# Libraries that replace the C library's malloc once they are loaded.
ALLOCATORS = re.compile(
    r"/lib(jemalloc|tcmalloc|mimalloc|hoard|snmalloc|rpmalloc|tbbmalloc_proxy)[._]"
)


def conditions(proc: Path = Path("/proc/self")) -> dict[str, str]:
    """Of this process, in words: they are compared with those of the other participants."""
    return {"affinity": ranges(os.sched_getaffinity(0)), "allocator": allocator(proc)}


def ranges(numbers: set[int]) -> str:
    """Numbers as '0-3,8'."""
    runs = []
    for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        runs.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0]))
    return ",".join(runs)


def allocator(proc: Path = Path("/proc/self")) -> str:
    """The allocator that answers malloc: the C library's, unless another library is loaded."""
    try:
        maps = (proc / "maps").read_text(errors="replace")
    except OSError:
        return "unknown"
    found = sorted(set(ALLOCATORS.findall(maps)))
    return ", ".join(found) or "C library"
