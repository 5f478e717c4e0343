"""glibc malloc, replayed in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.predict.allocators.blocks import OutOfMemory, ordered

MALLOC = "malloc"  # the real one, replayed: not a model in ALLOCATORS
PROCESS = Path(__file__).with_name("malloc_process.py")


def malloc_peak(
    allocated_at: np.ndarray, freed_at: np.ndarray, sizes: np.ndarray, small_objects: Sequence[int]
) -> int:
    """Bytes by which the data segment grows when glibc's malloc allocates and frees the buffers, in
    a process of its own: see `malloc_process`. Errors: OutOfMemory."""
    numbers = array("q", [len(small_objects), *small_objects])
    names: dict[int, int] = {}
    for _, buffer in ordered(allocated_at, freed_at):
        if buffer < 0:
            numbers.append(-names[~buffer])
        elif sizes[buffer] > 0:
            names[buffer] = len(names) + 1
            numbers.append(int(sizes[buffer]))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROCESS)],
        input=numbers.tobytes(),
        capture_output=True,
        check=True,
    )
    answer = done.stdout.decode().strip()
    if answer == "full":
        raise OutOfMemory("the address space is too small")
    return int(answer)
