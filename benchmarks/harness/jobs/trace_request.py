"""The files that request step traces from another process, and its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.harness.jobs.job import StartFile
from frameworks.contract import Device, Phase, Recipe, StepTrace


class Ask(BaseModel):
    """One step to be traced, at several batch sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    start: StartFile
    device: Device
    phase: Phase
    batch_sizes: tuple[int, ...]
    published_step: str | None = None  # of another benchmark, instead of the backend's own


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    asks: list[Ask]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    process_bytes: int  # private writable memory of interpreter and framework, without the model
    resident_bytes: int  # the part of it that was touched
    refusals: dict[int, str]  # by the index of the ask: why it cannot be traced


def save(trace: StepTrace, path: Path) -> None:
    with path.open("wb") as file:
        np.savez(
            file,
            bytes=trace.bytes,
            allocated_at=trace.allocated_at,
            freed_at=trace.freed_at,
            parts=np.array(trace.parts),
            events=trace.events,
        )


def load(path: Path) -> StepTrace:
    with np.load(path) as kept:
        parts: Any = tuple(kept["parts"].tolist())
        return StepTrace(
            kept["bytes"], kept["allocated_at"], kept["freed_at"], parts, int(kept["events"])
        )
