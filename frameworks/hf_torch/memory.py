"""The CUDA caching allocator's counters. On a CPU PyTorch keeps none."""

from __future__ import annotations

import torch

from frameworks.contract import Allocator


def synchronize() -> None:
    """Waits until the device has done all that it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def reset_peak() -> None:
    """Starts the peaks anew; retries and out-of-memory events count from the start."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def allocator() -> Allocator:
    """Peaks since the last reset, in bytes."""
    if not torch.cuda.is_available():
        return Allocator()
    statistics = torch.cuda.memory_stats()
    return Allocator(
        peak_allocated_bytes=torch.cuda.max_memory_allocated(),
        peak_reserved_bytes=torch.cuda.max_memory_reserved(),
        retries=statistics["num_alloc_retries"],
        out_of_memory_events=statistics["num_ooms"],
    )
