"""How a probe of a batch limit ends, and whether the GPU is free for it."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs import outcomes
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.machine.nvml import compute_processes
from benchmarks.harness.machine.process_memory import Held
from results.schema import (
    Device,
    Outcome,
)


def used_bytes(result: dict[str, Any], peak: Held) -> tuple[int, bool]:
    """What a CPU probe needed at its peak, from the worker's result and what its process held, and
    whether an allocator's count tells it."""
    allocated, before = result["allocated_bytes"], result["allocated_before_bytes"]
    data: int | None = result["data_before_bytes"]
    if allocated is None or before is None or data is None:
        return peak.data, False
    return max(data - before + allocated, peak.resident), True


CANNOT_TELL = (
    "NVML does not list the processes on this GPU: whether others took a part of it "
    "meanwhile is not known"
)


class NotAlone(UserError):
    """Another process is on the GPU."""


def refuse_company(device: Device) -> bool:
    """Whether it could be told that nobody is on the GPU.

    Errors: NotAlone where another process holds a part of it: the limit would be less."""
    others = compute_processes() if device.kind == "gpu" else []
    if others:
        raise NotAlone(
            f"the GPU is not free: {', '.join(others)} computes on it; end it or wait, "
            "a limit is found on an exclusive GPU only"
        )
    return others is not None


def outcome_of(ended: WorkerEnded) -> Outcome:
    if ended.status == "timeout":
        return "timeout"
    if ended.text is not None:
        return outcomes.of_exception(ended.text)
    return "error" if ended.exit_code is None else outcomes.of_end(ended.exit_code)


def why(ended: WorkerEnded) -> str:
    """One line: what the exception says, or how the process ended and its last words."""
    if ended.text is not None:
        return outcomes.telling_line(ended.text)
    last = f": {ended.stderr_tail[-1]}" if ended.exit_code is not None and ended.stderr_tail else ""
    return f"{ended.reason}{last}"[: outcomes.LINE_CHARACTERS]
