"""GPU types from gpus.toml: their usable memory and peak speed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.harness.errors import unknown
from frameworks.contract import MemoryModel, Precision

# The total that NVML shows varies with driver and ECC; a MIG slice shows far less.
MEMORY_TOLERANCE = 0.08
# Of the datasheet's peak, that a large matrix product reaches: cards with little power reach a third,
# none more than all of it, but for a clock that is raised a little.
PLAUSIBLE_SHARE = (0.15, 1.05)


class Sources(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: str
    peak: str
    bandwidth: str
    usable: str | None = None


class GpuType(BaseModel):
    """One table of gpus.toml, which documents each figure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = Field(min_length=1)
    compute_capability: str
    memory_bytes: int
    bandwidth_bytes_per_second: float
    usable_bytes: int | None = None
    context_bytes: int | None = None
    peak_flops_per_second: dict[Precision, float]
    sources: Sources


@dataclass(frozen=True)
class Room:
    """Bytes that a framework can allocate for tensors."""

    bytes: int
    note: str | None = None  # which part of it is not measured on this GPU


@cache
def gpu_types() -> dict[str, GpuType]:
    """All types by name, in the order of the file."""
    text = resources.files("benchmarks.harness.machine").joinpath("gpus.toml").read_text("utf-8")
    return {name: GpuType.model_validate(row) for name, row in tomllib.loads(text).items()}


def gpu_type(name: str) -> GpuType:
    """Finds a type by name. Raises UserError with the nearest names for an unknown one."""
    types = gpu_types()
    if name not in types:
        raise unknown("GPU type", name, types)
    return types[name]


def room(name: str, memory: MemoryModel) -> Room:
    """The room on a GPU type: the memory that CUDA shows a process, minus what `room_of` subtracts.
    If gpus.toml has no measured value, the lowest measured share of the total is used.

    Raises UserError for an unknown type."""
    row = gpu_type(name)
    if row.usable_bytes is not None:
        return room_of(row.usable_bytes, memory, name, row.compute_capability)
    share = min(r.usable_bytes / r.memory_bytes for r in gpu_types().values() if r.usable_bytes)
    found = room_of(int(row.memory_bytes * share), memory, name, row.compute_capability)
    note = (
        f"its usable memory was not measured: {share:.0%} of the total, the lowest measured share"
    )
    return Room(found.bytes, "; ".join(filter(None, [note, found.note])))


def room_of(
    free_bytes: int, memory: MemoryModel, name: str | None, compute_capability: str
) -> Room:
    """The room in `free_bytes`: minus the CUDA context (for a type without a measured value, the
    largest measured one) and minus what the framework reserves for the system."""
    note = None
    if name is None or gpu_types()[name].context_bytes is None:
        note = "its CUDA context was not measured: the largest measured one is subtracted"
    room_bytes = free_bytes - context_bytes(name) - memory.reserve_bytes(compute_capability)
    return Room(room_bytes, note)


def context_bytes(name: str | None) -> int:
    """The CUDA context on a GPU type; the largest measured one where it was not measured."""
    known = {n: row.context_bytes for n, row in gpu_types().items() if row.context_bytes}
    return known.get(name or "", max(known.values()))


def is_plausible_rate(name: str | None, precision: Precision, flops_per_second: float) -> bool:
    """Whether a measured matrix rate can be right, by the datasheet's peak of the GPU type. True for
    a type or a precision without one."""
    peak = gpu_types()[name].peak_flops_per_second.get(precision) if name else None
    return peak is None or PLAUSIBLE_SHARE[0] <= flops_per_second / peak <= PLAUSIBLE_SHARE[1]


def matching(device_name: str, memory_bytes: int) -> str | None:
    """Finds the type of a device by the name and total memory that NVML reports. None if no type
    matches (another card, a variant with other figures, a slice of a card)."""
    bare = device_name.removeprefix("NVIDIA ").removeprefix("Tesla ")
    for name, row in gpu_types().items():
        off = abs(memory_bytes - row.memory_bytes) / row.memory_bytes
        if bare in row.names and off <= MEMORY_TOLERANCE:
            return name
    return None
