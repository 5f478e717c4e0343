"""TensorFlow's device, and its allocator's counters. It keeps a peak on GPU and CPU, and no reserve."""

from __future__ import annotations

import tensorflow as tf

from frameworks.contract import (
    MATMUL_SIZES,
    AllocatorCounters,
    Device,
    FoundDevice,
    Recipe,
    matmul_rate,
)

MATMUL_TYPES = {
    "fp32": tf.float32,
    "tf32": tf.float32,
    "bf16": tf.bfloat16,
    "fp16": tf.float16,
}


def kind() -> Device:
    """The kind of device in use."""
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def found_device() -> FoundDevice:
    """The device as TensorFlow sees it. It does not tell a GPU's memory before it takes some."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
        return FoundDevice("gpu", name, count=len(gpus))
    if tf.sysconfig.get_build_info()["is_cuda_build"]:
        advice = (
            "TensorFlow does not find its CUDA libraries: run "
            "`python -m frameworks.hf_tf.install_cuda`"
        )
    else:
        advice = (
            f"TensorFlow {tf.__version__} is built without CUDA: "
            f"pip install --force-reinstall 'tensorflow[and-cuda]=={tf.__version__}'"
        )
    return FoundDevice("cpu", "CPU", advice=advice)


def synchronize() -> None:
    """Waits until the device has finished all its work."""
    if tf.config.list_physical_devices("GPU"):
        tf.test.experimental.sync_devices()


def limit_memory(limit_bytes: int | None) -> None:
    """Limits what the allocator takes of the GPU; beyond it, it raises an out-of-memory error. With
    None the memory grows as it is needed, so that several workers can share the device. Call it
    before anything is made on any device; both can be set once only."""
    for gpu in tf.config.list_physical_devices("GPU"):
        present = tf.config.get_logical_device_configuration(gpu)
        if limit_bytes is None:
            if present is None and not tf.config.experimental.get_memory_growth(gpu):
                tf.config.experimental.set_memory_growth(gpu, True)
            continue
        limit = [tf.config.LogicalDeviceConfiguration(memory_limit=limit_bytes // 2**20)]
        if present != limit:
            tf.config.set_logical_device_configuration(gpu, limit)


def reset_peak() -> None:
    """Resets the peak."""
    tf.config.experimental.reset_memory_stats(_name())


def allocator() -> AllocatorCounters:
    """The peak since the last reset, in bytes."""
    peak = tf.config.experimental.get_memory_info(_name())["peak"]
    return AllocatorCounters(peak_allocated_bytes=peak or None)  # 0 where the CPU's keeps no count


def matmul_flops_per_second(recipe: Recipe) -> float:
    """FLOP/s of a square product in the recipe's precision, under the switches in force: the yardstick
    of MFU."""
    size = MATMUL_SIZES[kind()]
    a = tf.cast(tf.random.normal((size, size)), MATMUL_TYPES[recipe.precision])
    b = tf.cast(tf.random.normal((size, size)), MATMUL_TYPES[recipe.precision])

    def products(count: int) -> None:
        for _ in range(count):
            tf.linalg.matmul(a, b)
        synchronize()

    return matmul_rate(products, size)


def _name() -> str:
    return "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
