"""What there is to choose from, and what of it is installed."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.harness.checkpoints import checkpoint
from benchmarks.harness.data import tasks
from benchmarks.harness.machine import packages
from benchmarks.harness.machine.device import describe
from benchmarks.harness.machine.nvml import NvmlFailed
from benchmarks.harness.plan import profile
from frameworks import contract


def listing() -> str:
    backends = {
        name: f"{info.title}, {info.loop}: {packages.missing_packages(name) or 'installed'}"
        for name, info in contract.backends().items()
    }
    named_tasks = {
        name: f"{tasks.find_task(name).title}: {', '.join(tasks.find_task(name).label_names)}"
        for name in tasks.task_names()
    }
    described = {name: profile.load_profile(name).description for name in profile.profile_names()}
    sections: dict[str, Mapping[str, str]] = {
        "backends": backends,
        "tasks": named_tasks,
        "checkpoints": checkpoint.checkpoint_names(),
        "profiles": described,
        "devices": devices(),
    }
    width = max(len(name) for section in sections.values() for name in section)
    lines = []
    for title, section in sections.items():
        lines.append(title)
        lines += [f"  {name:<{width}}  {text}" for name, text in section.items()]
    return "\n".join(lines)


def devices() -> dict[str, str]:
    try:
        device = describe()
    except NvmlFailed as error:
        return {"gpu": f"cannot be read: {error}"}
    return {
        str(device.kind): f"{device.name}, {device.memory_bytes / 2**30:.1f} GiB, "
        f"{device.cores} cores"
    }
