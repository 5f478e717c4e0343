"""What predictions of memory take from measurements: `calibration.toml`, checked as it is read."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from frameworks.contract import Device, Precision

CALIBRATED_CORES = 2  # of the machine that calibration.toml was measured on
STACK_BYTES = 8 * 2**20  # of a thread
# 'minilm 128 fp32 training 16', and between the last two what of the recipe is not usual, such as
# 'attention=eager'.
Case = Annotated[
    str, Field(pattern=r"^[\w-]+ \d+ (fp32|tf32|bf16|fp16) (training|evaluation)( \w+=\S+)* \d+$")
]


class Calibration(BaseModel):
    """One table of calibration.toml, which says what each figure means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allocator: str
    small_objects: tuple[int, ...] = ()
    started_bytes: dict[Precision, int] = Field(default_factory=dict)
    threads_per_core: int = 0
    late_bytes: int = 0
    more_bytes: int = 0
    built_bytes: int = 0
    resident_bytes: int = 0
    workspaces_bytes: tuple[int, ...] = ()
    workspaces_by_capability: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    error: float
    assumed: tuple[Precision, ...] = ()
    how: str
    cases: tuple[Case, ...] = ()
    limit_cases: tuple[str, ...] = ()

    def workspaces(self, compute_capability: str | None = None) -> tuple[int, ...]:
        return self.workspaces_by_capability.get(compute_capability or "", self.workspaces_bytes)

    def started(self, precision: Precision) -> int:
        """On this machine's cores."""
        more = len(os.sched_getaffinity(0)) - CALIBRATED_CORES
        stacks = more * self.threads_per_core * STACK_BYTES
        return self.started_bytes.get(precision, 0) + stacks


@cache
def calibrations() -> dict[str, dict[Device, Calibration]]:
    """By backend and kind of device."""
    text = (
        resources.files("benchmarks.harness.predict")
        .joinpath("calibration.toml")
        .read_text("utf-8")
    )
    return {
        backend: {kind: Calibration.model_validate(row) for kind, row in kinds.items()}
        for backend, kinds in tomllib.loads(text).items()
    }
