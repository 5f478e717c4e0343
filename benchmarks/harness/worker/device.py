"""Checks that the framework computes on the device that the parent has chosen."""

from __future__ import annotations

from frameworks.contract import FoundDevice
from results.schema import Device

# CUDA shows a process up to some percent less than NVML's total.
MEMORY_TOLERANCE = 0.10


class WrongDevice(Exception):
    """The framework would compute on another device than the job's."""


def check_device(wanted: Device, found: FoundDevice) -> None:
    """Errors: WrongDevice where the two differ, with what to do about it."""
    if problem := difference(wanted, found):
        raise WrongDevice(problem)


def difference(wanted: Device, found: FoundDevice) -> str | None:
    """How the device that a framework found differs from the job's, in one line; None if it does
    not."""
    if wanted.kind != found.kind:
        driver = f" (driver {wanted.driver})" if wanted.driver else ""
        here = (
            f"this job runs on {wanted.name}{driver}, but the framework found only a {found.name}"
        )
        return f"{here}. {found.advice}" if found.advice else here
    if wanted.kind == "cpu":
        return None
    if found.count != 1:
        return (
            f"this job runs on one GPU, but the framework would use {found.count}: "
            "let CUDA_VISIBLE_DEVICES name one"
        )
    names = [
        name.removeprefix("NVIDIA ").removeprefix("Tesla ") for name in (wanted.name, found.name)
    ]
    if not names[0].startswith(names[1]):  # of a part, the framework may name the whole
        return f"this job runs on {wanted.name}, but the framework found {found.name}"
    if found.memory_bytes is None:
        return None
    off = abs(found.memory_bytes - wanted.memory_bytes) / wanted.memory_bytes
    if off > MEMORY_TOLERANCE:
        sizes = [f"{size / 2**30:.1f} GiB" for size in (wanted.memory_bytes, found.memory_bytes)]
        return (
            f"{wanted.name} has {sizes[0]}, but the framework found {sizes[1]}: a part of it may be "
            "visible only; let CUDA_VISIBLE_DEVICES name that part by its UUID"
        )
    return None
