"""The worker behind a prediction: traces of a backend's steps, told without computing them.

    python -m benchmarks.harness.worker.step_trace REQUEST.json FOLDER

`FOLDER` gets one `<n>.npz` per trace asked for, in order, and `answer.json`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

# A job's worker holds all that this module imports; a prediction begins with the same.
from benchmarks.harness import data_segment
from benchmarks.harness.jobs.job import StartFile
from benchmarks.harness.worker import __main__
from frameworks.contract import Device, Phase, Recipe, StepTrace, Unsupported


class Ask(BaseModel):
    """One step to be traced, at several batch sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    start: StartFile
    device: Device
    phase: Phase
    batch_sizes: tuple[int, ...]
    published_step: str | None = None  # of another benchmark, in place of the backend's own


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    asks: list[Ask]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    process_bytes: int  # interpreter and framework: private writable memory, model excluded
    resident_bytes: int  # the part of it that was touched
    refusals: dict[int, str]  # by the ask's place: why the backend cannot follow it


def main() -> int:
    __main__.die_with_parent()
    request = Request.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    importlib.import_module(f"frameworks.{request.backend}.train")
    begun = data_segment.held()
    assert begun is not None  # it is this process
    refusals = {}
    for i, ask in enumerate(request.asks):
        try:
            for size in ask.batch_sizes:
                save(_trace(request.backend, ask, size), folder / f"{i}-{size}.npz")
        except Unsupported as error:
            refusals[i] = str(error)
    answer = Answer(process_bytes=begun.data, resident_bytes=begun.resident, refusals=refusals)
    (folder / "answer.json").write_text(answer.model_dump_json(), encoding="utf-8")
    return 0


def _trace(backend: str, ask: Ask, batch_size: int) -> StepTrace:
    """Raises `Unsupported` for what the backend cannot follow."""
    start = ask.start.start()
    trace: StepTrace
    if ask.published_step is None:
        own = importlib.import_module(f"frameworks.{backend}.step_trace")
        trace = own.step_trace(ask.recipe, start, batch_size, ask.device, ask.phase)
    else:
        published = importlib.import_module(f"frameworks.{backend}.published_steps")
        trace = published.step_trace(ask.published_step, ask.recipe, start, batch_size, ask.device)
    return trace


def save(trace: StepTrace, path: Path) -> None:
    with path.open("wb") as file:
        np.savez(
            file,
            bytes=trace.bytes,
            taken=trace.taken,
            given_back=trace.given_back,
            parts=np.array(trace.parts),
            events=trace.events,
        )


def load(path: Path) -> StepTrace:
    with np.load(path) as kept:
        parts: Any = tuple(kept["parts"].tolist())
        return StepTrace(
            kept["bytes"], kept["taken"], kept["given_back"], parts, int(kept["events"])
        )


if __name__ == "__main__":
    sys.exit(main())
