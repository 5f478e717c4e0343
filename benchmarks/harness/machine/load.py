"""Load of the machine during a window: CPU time used by the hypervisor or other processes, and
GPU throttling.

A reading is cheap (well under a millisecond, even with a hundred threads in the worker) and is
read outside the window, at its start and end. The kernel counts in ticks of 1/100 second, so a
share over a window of t seconds on n processors is accurate to about 1 / (100 t n). Shares are of
all processor time of the machine, idle time included; in a container that is the whole machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.machine.nvml import GpuState
from results.schema import Load

SHORTEST_WINDOW_TICKS = 10  # below this the ticks are too coarse for a share


@dataclass(frozen=True)
class Reading:
    """Counters at one moment, in ticks since boot; None if the kernel hides them."""

    total: int | None  # all processor time, idle included
    busy: int | None  # used by processes and the kernel, without stolen time
    stolen: int | None  # used by the hypervisor for something else
    own: int  # of `busy`: this process and the worker's whole tree
    one_minute_load: float | None
    gpu: GpuState | None = None


def read(
    worker_pid: int | None = None, *, proc: Path = Path("/proc"), gpu: GpuState | None = None
) -> Reading:
    """Reads the counters. `worker_pid` is the root of the worker's processes; a process that has
    ended no longer counts. `gpu` is the GPU's state at the same moment."""
    total, busy, stolen = _machine_ticks(proc)
    own = _process_ticks(proc, os.getpid(), with_ended_children=False)
    for pid in _tree(proc, worker_pid) if worker_pid is not None else ():
        own += _process_ticks(proc, pid, with_ended_children=True)
    try:
        load = float((proc / "loadavg").read_text().split()[0])
    except OSError:
        load = None
    return Reading(total, busy, stolen, own, load, gpu)


def between(before: Reading, after: Reading) -> Load:
    """The load between two readings with the same worker alive at both. A share is None if the
    kernel hides its counters or the time is too short. Of a GPU, the reasons of throttling are
    those at the two ends, when it is idle; the driver's counters tell what happened in between."""
    known: dict[str, Any] = {"one_minute_load": after.one_minute_load}
    if before.gpu is not None and after.gpu is not None:
        known |= _gpu_between(before.gpu, after.gpu)
    if before.total is None or after.total is None or before.busy is None or after.busy is None:
        return Load(**known)
    total = after.total - before.total
    if total < SHORTEST_WINDOW_TICKS:
        return Load(**known)
    stolen = None
    if before.stolen is not None and after.stolen is not None:
        stolen = _share(after.stolen - before.stolen, total)
    other = (after.busy - before.busy) - (after.own - before.own)
    return Load(**known, stolen_share=stolen, other_busy_share=_share(other, total))


def _gpu_between(before: GpuState, after: GpuState) -> dict[str, Any]:
    """The GPU's fields of `Load`: all reasons, and the larger number of processes at either end."""
    counts = [state.processes for state in (before, after) if state.processes is not None]
    reasons = [state.throttle_reasons for state in (before, after)]
    elapsed = after.at_ns - before.at_ns
    shares = {
        reason: _share(after.throttled_ns[reason] - earlier, elapsed)
        for reason, earlier in before.throttled_ns.items()
        if reason in after.throttled_ns and elapsed > 0
    }
    return {
        "throttle_reasons": None
        if None in reasons
        else list(dict.fromkeys(word for words in reasons for word in words or ())),
        "throttled_shares": shares or None,
        "sm_clock_mhz": after.sm_clock_mhz,
        "gpu_processes": max(counts, default=None),
    }


def _share(part: int, total: int) -> float:
    """Ticks are attributed by sampling, so a difference can come out slightly below 0."""
    return min(1.0, max(0.0, part / total))


def _machine_ticks(proc: Path) -> tuple[int | None, int | None, int | None]:
    """Total, busy and stolen ticks of all processors, from the first line of /proc/stat: user,
    nice, system, idle, iowait, irq, softirq, steal (guest time is in user already)."""
    try:
        first = (proc / "stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None, None, None
    ticks = [int(field) for field in first[1:9]]
    if len(ticks) < 8 or not any(ticks):  # some sandboxes show zeros
        return None, None, None
    user, nice, system, idle, iowait, irq, softirq, steal = ticks
    busy = user + nice + system + irq + softirq
    return busy + idle + iowait + steal, busy, steal


def _process_ticks(proc: Path, pid: int, *, with_ended_children: bool) -> int:
    """User and system ticks of a process; 0 when it has ended."""
    try:
        text = (proc / str(pid) / "stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    utime, stime, cutime, cstime = (int(field) for field in fields[11:15])
    return utime + stime + (cutime + cstime if with_ended_children else 0)


def _tree(proc: Path, root: int) -> list[int]:
    """A process and all its descendants that are alive."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in _threads(proc, pid):
            try:
                with open(f"{proc}/{pid}/task/{task}/children", "rb") as children:
                    waiting.extend(int(child) for child in children.read().split())
            except OSError:
                continue  # the thread ended meanwhile
    return found


def _threads(proc: Path, pid: int) -> list[str]:
    try:
        return os.listdir(f"{proc}/{pid}/task")
    except OSError:
        return []  # the process ended
