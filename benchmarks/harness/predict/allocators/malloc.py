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


def malloc_peak(
    taken: np.ndarray, given_back: np.ndarray, sizes: np.ndarray, small_objects: Sequence[int]
) -> int:
    """Bytes by which the data segment grows when glibc's malloc allocates and frees the buffers, in
    a process of its own: see `malloc_process`. Errors: OutOfMemory."""
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
        raise OutOfMemory("the address space is too small")
    return int(answer)
