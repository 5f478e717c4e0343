"""TensorFlow's device allocator's counters. It keeps a peak on GPU and CPU, and no reserve."""

from __future__ import annotations

import tensorflow as tf

from frameworks.contract import AllocatorCounters, Device


def device() -> Device:
    """The kind of device in use. Lets the GPU's memory grow, so that several workers can share the
    device; one with a limit takes that much at once."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        if tf.config.get_logical_device_configuration(gpu) is None:
            tf.config.experimental.set_memory_growth(gpu, True)
    return "gpu" if gpus else "cpu"


def synchronize() -> None:
    """Waits until the device has finished all its work."""
    if tf.config.list_physical_devices("GPU"):
        tf.test.experimental.sync_devices()


def limit_memory(limit_bytes: int) -> None:
    """Limits what the allocator takes of the GPU; beyond it, it raises an out-of-memory error. Call it
    before anything is allocated. A limit and growth exclude each other."""
    gpu = tf.config.list_physical_devices("GPU")[0]
    limited = [tf.config.LogicalDeviceConfiguration(memory_limit=limit_bytes // 2**20)]
    if tf.config.get_logical_device_configuration(gpu) != limited:  # it can be set once only
        tf.config.experimental.set_memory_growth(gpu, False)
        tf.config.set_logical_device_configuration(gpu, limited)


def reset_peak() -> None:
    """Resets the peak."""
    tf.config.experimental.reset_memory_stats(_name())


def allocator() -> AllocatorCounters:
    """The peak since the last reset, in bytes."""
    peak = tf.config.experimental.get_memory_info(_name())["peak"]
    return AllocatorCounters(peak_allocated_bytes=peak or None)  # 0 where the CPU's keeps no count


def _name() -> str:
    return "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
