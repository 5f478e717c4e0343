"""Memory figures of the memory pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.analysis.groups import Group, _gaps
from results.schema import Gap, Memory

MEMORY_FIGURES = (
    "peak_allocated_bytes",
    "peak_reserved_bytes",
    "peak_device_bytes",
    "peak_process_bytes",
    "before_model_bytes",
    "allocator_retries",
    "allocator_out_of_memory_events",
)


@dataclass(frozen=True)
class MemoryRow:
    group: Group
    figures: dict[str, int | None]  # the peaks are the highest over repeats
    gaps: dict[str, Gap]
    steps: int
    phases: dict[str, int] | None = None  # the highest peak of each phase over repeats


def memory_rows(group: Group) -> list[MemoryRow]:
    passes = [m.memory for m in group.ok if m.memory]
    if not passes:
        return []
    figures = {name: _highest(passes, name) for name in MEMORY_FIGURES}
    known = [one.phase_peaks for one in passes if one.phase_peaks]
    phases = (
        {name: max(peaks.get(name, 0) for peaks in known) for name in known[0]} if known else None
    )
    return [MemoryRow(group, figures, _gaps(group), passes[0].steps, phases)]


def _highest(passes: Sequence[Memory], name: str) -> int | None:
    values = [value for one in passes if (value := getattr(one, name)) is not None]
    return max(values, default=None)


def headline_memory(rows: Sequence[MemoryRow], kind: str) -> str:
    """The one figure that stands for 'memory': on a CPU the peak of the process; on a GPU the peak
    of the device or, where no row has it, that of the framework's allocator."""
    if kind == "cpu":
        return "peak_process_bytes"
    order = ("peak_device_bytes", "peak_allocated_bytes")
    return next((name for name in order if any(row.figures[name] for row in rows)), order[0])
