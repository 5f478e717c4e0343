"""TensorFlow's device allocator's counters. It keeps a peak on GPU and CPU, and no reserve."""

from __future__ import annotations

import tensorflow as tf

from frameworks.contract import Allocator


def synchronize() -> None:
    """Waits until the device has done all that it was given."""
    if tf.config.list_physical_devices("GPU"):
        tf.test.experimental.sync_devices()


def reset_peak() -> None:
    """Starts the peak anew."""
    tf.config.experimental.reset_memory_stats(_name())


def allocator() -> Allocator:
    """The peak since the last reset, in bytes."""
    peak = tf.config.experimental.get_memory_info(_name())["peak"]
    return Allocator(peak_allocated_bytes=peak or None)  # 0 where the CPU's keeps no count


def _name() -> str:
    return "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
