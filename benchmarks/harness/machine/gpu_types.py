"""GPU types, read from gpus.toml: what fits into one, and how fast it can be at most."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.harness.errors import unknown
from frameworks.contract import Precision

Framework = Literal["torch", "tensorflow"]

# The total that NVML shows varies with driver and ECC; a MIG slice shows far less.
MEMORY_TOLERANCE = 0.08
# What TensorFlow leaves of a GPU to the system, by the first number of the compute capability; the
# first and the last hold beyond too (`MinSystemMemory` of core/common_runtime/gpu/gpu_device.cc).
TENSORFLOW_RESERVE_MIB = {6: 500, 7: 1050, 8: 1536, 9: 1800}


class Sources(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: str
    peak: str
    bandwidth: str
    usable: str | None = None


class GpuType(BaseModel):
    """One table of gpus.toml, which says what each figure means."""

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
    """Bytes that a framework can give to tensors."""

    bytes: int
    note: str | None = None  # what of it rests on no reading of this GPU


@cache
def gpu_types() -> dict[str, GpuType]:
    """All types by name, in the file's order."""
    text = resources.files("benchmarks.harness.machine").joinpath("gpus.toml").read_text("utf-8")
    return {name: GpuType.model_validate(row) for name, row in tomllib.loads(text).items()}


def gpu_type(name: str) -> GpuType:
    """The type of that name; `UserError` with the nearest names where there is none."""
    types = gpu_types()
    if name not in types:
        raise unknown("GPU type", name, types)
    return types[name]


def room(name: str, framework: Framework) -> Room:
    """Of a type: what CUDA shows a process, less what `room_of` takes off. Where gpus.toml has no
    reading, the least share of the total that it has one of.

    Errors: UserError for an unknown type."""
    row = gpu_type(name)
    if row.usable_bytes is not None:
        return room_of(row.usable_bytes, framework, name, row.compute_capability)
    share = min(r.usable_bytes / r.memory_bytes for r in gpu_types().values() if r.usable_bytes)
    found = room_of(int(row.memory_bytes * share), framework, name, row.compute_capability)
    note = f"no reading of its usable memory: {share:.0%} of the total, the lowest share seen"
    return Room(found.bytes, "; ".join(filter(None, [note, found.note])))


def room_of(
    free_bytes: int, framework: Framework, name: str | None, compute_capability: str
) -> Room:
    """Of so many free bytes: less the CUDA context (of a type without a reading the largest one
    that was seen) and, in TensorFlow, less what it leaves to the system."""
    known = {n: row.context_bytes for n, row in gpu_types().items() if row.context_bytes}
    context = known.get(name or "", max(known.values()))
    reserve = 0
    if framework == "tensorflow":
        major = int(compute_capability.split(".")[0])
        nearest = min(max(major, min(TENSORFLOW_RESERVE_MIB)), max(TENSORFLOW_RESERVE_MIB))
        reserve = TENSORFLOW_RESERVE_MIB[nearest] * 2**20
    note = (
        None
        if name in known
        else ("no reading of its CUDA context: the largest one seen is taken off")
    )
    return Room(free_bytes - context - reserve, note)


def matching(device_name: str, memory_bytes: int) -> str | None:
    """The type that a device is, by the name and the total memory that NVML gives; None where
    it is none of them (another card, a variant with other figures, a slice of a card)."""
    bare = device_name.removeprefix("NVIDIA ").removeprefix("Tesla ")
    for name, row in gpu_types().items():
        off = abs(memory_bytes - row.memory_bytes) / row.memory_bytes
        if bare in row.names and off <= MEMORY_TOLERANCE:
            return name
    return None
