"""Budgets: the bytes that a job may use. '6GiB', a GPU type such as 'T4', or the whole device.

On a CPU a budget bounds the worker's data segment, all that it maps to write into. On a GPU it
bounds what the framework gives out to tensors; a GPU type's, or all that is free, is less its
context and what TensorFlow leaves to the system: `gpus.room`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import gpu_types, nvml, processor
from frameworks.contract import BACKENDS
from results.schema import Device

DEVICE = "device"  # all that is free
UNITS = {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SIZE = re.compile(rf"([0-9]+(?:\.[0-9]+)?)({'|'.join(UNITS)})")


@dataclass(frozen=True)
class Budget:
    bytes: int
    emulated: bool = False  # less than the GPU has
    bounds_framework: bool = False  # the framework is told to give out no more
    note: str | None = None  # what of it rests on no reading


def size_bytes(text: str) -> int | None:
    """'6GiB' in bytes; None for what is no size."""
    found = _SIZE.fullmatch(text)
    return round(float(found[1]) * UNITS[found[2]]) if found else None


def check_label(label: str, whose: str) -> None:
    """Errors: UserError for what is neither a size above 0, a GPU type nor 'device'; `whose` is
    the option or the file."""
    size = size_bytes(label)
    if size is not None and size <= 0:
        raise UserError(f"{whose} {label!r}: a budget is larger than 0")
    if size is None and label != DEVICE and label not in gpu_types.gpu_types():
        raise UserError(
            f"{whose} {label!r}: write a size such as 6GiB, {DEVICE!r} for all that is "
            f"free, or a GPU type: {', '.join(gpu_types.gpu_types())}"
        )


def check_device(label: str, device: Device) -> None:
    """Errors: UserError for a budget that the device does not have."""
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
    tell = f"`ftbench predict --gpu {label}` tells the limit without that GPU"
    if device.kind == "cpu":
        raise UserError(
            f"--gpu {label}: this job runs on a CPU, and a CPU is no GPU's measure; "
            f"give a size with --budget, or {tell}"
        )
    wanted = gpu_types.gpu_type(label)
    if label != device.gpu_type and wanted.memory_bytes > device.memory_bytes:
        raise UserError(
            f"--gpu {label}: it has {_gib(wanted.memory_bytes)} and {device.name} "
            f"{_gib(device.memory_bytes)}: a larger GPU cannot be emulated; {tell}"
        )


def find_budget(label: str, backend: str, device: Device) -> Budget:
    """The bytes that a backend may use of this device under a budget that `check_device` let
    through. The whole device is what is free of it now.

    On a GPU TensorFlow is always told its budget: then it takes one region of that size, whose
    filling does not hang on how regions happen to double."""
    size = size_bytes(label)
    if device.kind == "cpu":
        return Budget(processor.available_bytes() if size is None else size)
    if size is not None:
        return Budget(size, emulated=True, bounds_framework=True)
    framework = framework_of(backend)
    room = (
        gpu_types.room(label, framework)
        if label != DEVICE
        else gpu_types.room_of(
            nvml.free_bytes(), framework, device.gpu_type, device.compute_capability or "0"
        )
    )
    emulated = label not in (DEVICE, device.gpu_type)
    return Budget(
        room.bytes,
        emulated=emulated,
        note=room.note,
        bounds_framework=emulated or framework == "tensorflow",
    )


def framework_of(backend: str) -> gpu_types.Framework:
    return "torch" if BACKENDS[backend].extra == "torch" else "tensorflow"


def rising(labels: list[str]) -> list[str]:
    """Smallest first, the whole device last: what a search learns under one budget is where the
    next one starts."""

    def size(label: str) -> float:
        known = float("inf") if label == DEVICE else size_bytes(label)
        return gpu_types.gpu_type(label).memory_bytes if known is None else known

    return sorted(dict.fromkeys(labels), key=size)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
