"""Budgets: the bytes that a job may use. '6GiB', a GPU type such as 'T4', or the whole device.

On a CPU a budget limits the worker's data segment: all memory that it maps to write into. On a
GPU it limits what the framework allocates for tensors; for a GPU type or the whole device, the
CUDA context and what the framework reserves are subtracted first (`gpu_types.room`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import ByteSize, TypeAdapter

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import gpu_types, processor
from frameworks.contract import backends
from results.schema import Device

DEVICE = "device"  # all free memory
_SIZE = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?[KMGT]i?B")
_BYTES: TypeAdapter[ByteSize] = TypeAdapter(ByteSize)


@dataclass(frozen=True)
class Budget:
    bytes: int
    emulated: bool = False  # less than the GPU has
    bounds_framework: bool = False  # the framework is configured to allocate no more
    note: str | None = None  # which part of it is not measured


def size_bytes(text: str) -> int | None:
    """'6GiB' in bytes; None for a text that is not a size."""
    return int(_BYTES.validate_python(text)) if _SIZE.fullmatch(text) else None


def check_label(label: str, whose: str) -> None:
    """Raises UserError for anything but a size above 0, a GPU type or 'device'. `whose` names the
    option or the file."""
    size = size_bytes(label)
    if size is not None and size <= 0:
        raise UserError(f"{whose} {label!r}: a budget must be larger than 0")
    if size is None and label != DEVICE and label not in gpu_types.gpu_types():
        raise UserError(
            f"{whose} {label!r}: use a size such as 6GiB, {DEVICE!r} for all free "
            f"memory, or a GPU type: {', '.join(gpu_types.gpu_types())}"
        )


def check_device(label: str, device: Device) -> None:
    """Raises UserError for a budget that exceeds the device."""
    size = size_bytes(label)
    if size is not None:
        if size > device.memory_bytes:
            raise UserError(
                f"budget {label}: {device.name} has {_gib(device.memory_bytes)}; "
                "choose a smaller one"
            )
        return
    if label == DEVICE:
        return
    advice = f"`ftbench predict --gpu {label}` to estimate that GPU"
    if device.kind == "cpu":
        raise UserError(
            f"--gpu {label} needs a GPU, but this job runs on a CPU. Use --budget 6GiB to limit "
            f"memory here, or {advice}."
        )
    wanted = gpu_types.gpu_type(label)
    if label != device.gpu_type and wanted.memory_bytes > device.memory_bytes:
        raise UserError(
            f"--gpu {label} has {_gib(wanted.memory_bytes)}, but {device.name} has only "
            f"{_gib(device.memory_bytes)}, and a larger GPU cannot be emulated. Use a smaller "
            f"type, or {advice}."
        )


def find_budget(label: str, backend: str, device: Device) -> Budget:
    """The bytes that a backend may use of this device under a budget that `check_device` accepted.
    The whole device means the memory that is free now.

    On a GPU, a framework that takes its budget at once is always given it."""
    size = size_bytes(label)
    if device.kind == "cpu":
        return Budget(processor.available_bytes() if size is None else size)
    if size is not None:
        return Budget(size, emulated=True, bounds_framework=True)
    # Here, because measured workers import this module: NVML's binding would add 12 MiB to them.
    from benchmarks.harness.machine import nvml

    memory = backends()[backend].memory
    room = (
        gpu_types.room(label, memory)
        if label != DEVICE
        else gpu_types.room_of(
            nvml.free_bytes(), memory, device.gpu_type, device.compute_capability or "0"
        )
    )
    emulated = label not in (DEVICE, device.gpu_type)
    return Budget(
        room.bytes,
        emulated=emulated,
        note=room.note,
        bounds_framework=emulated or memory.takes_budget_at_once,
    )


def sort_budgets(labels: list[str]) -> list[str]:
    """Sorts budgets, smallest first and the whole device last: a search starts from the result
    under the previous budget."""

    def size(label: str) -> float:
        known = float("inf") if label == DEVICE else size_bytes(label)
        return gpu_types.gpu_type(label).memory_bytes if known is None else known

    return sorted(dict.fromkeys(labels), key=size)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
