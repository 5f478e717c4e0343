"""Figures of the memory pass."""

from __future__ import annotations

from typing import Literal

from results.schema.job import Record


class Memory(Record):
    """A pass of its own, never timed."""

    question: Literal["memory"] = "memory"
    steps: int
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    allocator_retries: int | None = None
    allocator_out_of_memory_events: int | None = None
    peak_device_bytes: int | None = None  # NVML, minus use before the worker started
    peak_process_bytes: int | None = None  # VmHWM minus its value before the model was built
    before_model_bytes: int | None = None  # VmHWM then: interpreter and framework
    # Of one further step, by 'forward', 'backward' (with clipping) and 'optimizer': the allocator's
    # peak on a GPU, else the process's minus its value before the model was built.
    phase_peaks: dict[str, int] | None = None
