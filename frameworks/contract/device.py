"""What jobs ask of a device, whatever trains on it."""

from __future__ import annotations

from typing import Protocol

from frameworks.contract.readings import AllocatorCounters, FoundDevice
from frameworks.contract.recipe import Recipe


class DeviceFunctions(Protocol):
    """The device that a framework computes on. A backend has these functions in its module `device.py`."""

    def found_device(self) -> FoundDevice:
        """Returns the device that the framework will compute on, as it sees it. Called before a
        session is built: a worker that sees another device than its parent must not train."""

    def synchronize(self) -> None:
        """Waits until the device has finished everything."""

    def reset_peak(self) -> None:
        """Resets the peaks of the allocator."""

    def allocator(self) -> AllocatorCounters:
        """Returns the allocator's peaks since the last reset."""

    def matmul_flops_per_second(self, recipe: Recipe) -> float:
        """Measures the device's rate of matrix multiplication in the recipe's precision, with the
        switches in force."""
