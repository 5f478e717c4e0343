"""The threads that TensorFlow computes with."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import tensorflow as tf


@cache
def compute_threads() -> int | None:
    """The number of threads in the pool that computes one operation, counted while TensorFlow starts
    them: it tells only what it was asked for, and gives them no name. Call it before anything is
    computed. None on a GPU, whose driver starts threads too, and where they run already."""
    if tf.config.list_physical_devices("GPU"):
        return None
    before = unnamed()
    tf.config.list_logical_devices()
    return len(unnamed() - before) or None


def unnamed() -> set[str]:
    """The threads of this process that have its own name."""
    own = Path("/proc/self/comm").read_text()
    tasks = Path("/proc/self/task")
    return {task for task in os.listdir(tasks) if (tasks / task / "comm").read_text() == own}
