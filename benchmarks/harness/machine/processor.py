"""The processor and memory that this process may use, from /proc and its control group.

Limits apply along the whole path of the control group, so the smallest one counts. Both layouts
are read: version 2 (one tree) and version 1 (one tree per controller).
"""

from __future__ import annotations

import os
import platform
from math import ceil
from pathlib import Path

from benchmarks.harness.machine.cgroup import group_folders, read_text

ROOT = Path("/")


def name(root: Path = ROOT) -> str:
    """The processor's model, or the architecture if the kernel reports no model."""
    return _cpuinfo(root).get("model name") or platform.machine()


def usable_cores(root: Path = ROOT) -> int:
    """Cores that this process may use: its affinity, limited by its group's quota, rounded up."""
    cores = len(os.sched_getaffinity(0))
    for folder in group_folders(root, "cpu"):
        quota, period = _quota(folder)
        if quota is not None:
            cores = min(cores, max(1, ceil(quota / period)))
    return cores


def memory_bytes(root: Path = ROOT) -> int:
    """Bytes that this process may use: the machine's memory, or its group's limit if lower."""
    memory = _meminfo(root, "MemTotal")
    for folder in group_folders(root, "memory"):
        for file in ("memory.max", "memory.limit_in_bytes"):
            text = read_text(folder / file)
            if text and text.isdigit():  # 'max' is no limit
                memory = min(memory, int(text))
    return memory


def available_bytes(root: Path = ROOT) -> int:
    """Bytes that a new process can allocate without swapping: of the machine, or of its group if
    that has less left. File pages that can be dropped count as free."""
    available = _meminfo(root, "MemAvailable")
    for folder in group_folders(root, "memory"):
        for limit_file, used_file, dropped in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used = read_text(folder / limit_file), read_text(folder / used_file)
            if limit and used and limit.isdigit():
                statistics = dict(
                    line.split() for line in (read_text(folder / "memory.stat") or "").splitlines()
                )
                remaining = int(limit) - int(used) + int(statistics.get(dropped, 0))
                available = min(available, remaining)
    return available


def _cpuinfo(root: Path) -> dict[str, str]:
    """The fields of the first processor."""
    fields = {}
    for line in (root / "proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    return fields


def _meminfo(root: Path, field: str) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/meminfo has no {field}")


def _quota(folder: Path) -> tuple[float | None, float]:
    """Microseconds of processor time per period (None if unlimited), and the period."""
    text = read_text(folder / "cpu.max")
    if text:
        quota, period = text.split()
        return (None if quota == "max" else float(quota)), float(period)
    quota_text = read_text(folder / "cpu.cfs_quota_us")
    period_text = read_text(folder / "cpu.cfs_period_us")
    if quota_text and period_text and int(quota_text) > 0:
        return float(quota_text), float(period_text)
    return None, 1.0
