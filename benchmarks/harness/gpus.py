"""GPU types, read from gpus.toml: what fits into one, and how fast it can be at most."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.harness.errors import unknown
from frameworks.contract import Precision

Framework = Literal["torch", "tensorflow"]

# The total that NVML shows varies with driver and ECC; a MIG slice shows far less.
MEMORY_TOLERANCE = 0.08


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
    usable_bytes: dict[Framework, int] = Field(default_factory=dict)
    context_bytes: int | None = None
    peak_flops_per_second: dict[Precision, float]
    sources: Sources

    def budget_bytes(self, framework: Framework) -> int | None:
        """Bytes that a framework can give to tensors by default; None where no reading exists.

        The CUDA context comes off where its size is known; elsewhere the figure is too high by
        one context (0.1 to 0.5 GiB on the cards that were read)."""
        usable = self.usable_bytes.get(framework)
        return None if usable is None else usable - (self.context_bytes or 0)


@cache
def gpu_types() -> dict[str, GpuType]:
    """All types by name, in the file's order."""
    text = resources.files("benchmarks.harness").joinpath("gpus.toml").read_text("utf-8")
    return {name: GpuType.model_validate(row) for name, row in tomllib.loads(text).items()}


def gpu_type(name: str) -> GpuType:
    """The type of that name; `UserError` with the nearest names where there is none."""
    types = gpu_types()
    if name not in types:
        raise unknown("GPU type", name, types)
    return types[name]


def matching(device_name: str, memory_bytes: int) -> str | None:
    """The type that a device is, by the name and the total memory that NVML gives; None where
    it is none of them (another card, a variant with other figures, a slice of a card)."""
    bare = device_name.removeprefix("NVIDIA ").removeprefix("Tesla ")
    for name, row in gpu_types().items():
        off = abs(memory_bytes - row.memory_bytes) / row.memory_bytes
        if bare in row.names and off <= MEMORY_TOLERANCE:
            return name
    return None
