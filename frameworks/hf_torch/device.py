"""PyTorch's device, and the CUDA caching allocator's counters. On a CPU PyTorch keeps none."""

from __future__ import annotations

import torch

from frameworks.contract import (
    MATMUL_SIZES,
    AllocatorCounters,
    Device,
    FoundDevice,
    Recipe,
    matmul_rate,
)

MATMUL_TYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def kind() -> Device:
    """The kind of device in use."""
    return "gpu" if torch.cuda.is_available() else "cpu"


def place() -> str:
    """PyTorch's name for the device."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def found_device() -> FoundDevice:
    """The device as PyTorch sees it."""
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        return FoundDevice("gpu", gpu.name, gpu.total_memory, torch.cuda.device_count())
    if torch.version.cuda is None:
        release = torch.__version__.split("+")[0]
        advice = (
            f"PyTorch {torch.__version__} is built without CUDA: "
            f"pip install --force-reinstall 'torch=={release}'"
        )
    else:
        advice = (
            f"PyTorch {torch.__version__} is built for CUDA {torch.version.cuda}, for which the "
            "driver is probably too old: update the driver, or install a PyTorch for an older CUDA"
        )
    return FoundDevice("cpu", "CPU", advice=advice)


def synchronize() -> None:
    """Waits until the device has finished all its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def limit_memory(limit_bytes: int | None) -> None:
    """Limits what the allocator takes of the GPU; beyond it, it raises an out-of-memory error. None:
    it takes what it needs. Call it before anything is allocated."""
    if limit_bytes is None:
        return
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total))


def reset_peak() -> None:
    """Resets the peaks; retries and out-of-memory events count from the process's start."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def allocator() -> AllocatorCounters:
    """Peaks since the last reset, in bytes."""
    if not torch.cuda.is_available():
        return AllocatorCounters()
    statistics = torch.cuda.memory_stats()
    return AllocatorCounters(
        peak_allocated_bytes=torch.cuda.max_memory_allocated(),
        peak_reserved_bytes=torch.cuda.max_memory_reserved(),
        retries=statistics["num_alloc_retries"],
        out_of_memory_events=statistics["num_ooms"],
    )


def matmul_flops_per_second(recipe: Recipe) -> float:
    """FLOP/s of a square product in the recipe's precision, under the switches in force: the yardstick
    of MFU."""
    size = MATMUL_SIZES[kind()]
    a = torch.randn(size, size, device=place()).to(MATMUL_TYPES[recipe.precision])
    b = torch.randn(size, size, device=place()).to(MATMUL_TYPES[recipe.precision])

    def products(count: int) -> None:
        with torch.no_grad():
            for _ in range(count):
                torch.matmul(a, b)
        synchronize()

    return matmul_rate(products, size)
