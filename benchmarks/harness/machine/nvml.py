"""Reads a GPU through NVML, from the parent process and without a framework.

Functions take the NVML module as an argument, so that tests can pass a fake that answers as
NVML's documentation says. Older drivers lack some calls, and on a part of a GPU (MIG) or in a
container others are refused: each figure is asked for by itself, and None if there is none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pynvml

# Bits of NVML's clocks-event reasons (nvml.h) that come and go. Idleness is no disturbance, and
# clocks that an application or a display has set are lasting.
THROTTLE_REASONS = {
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
}
LASTING_REASONS = {0x002: "clocks set by an application", 0x100: "display clocks"}
# NVML's cumulative counters of throttling, by the same words.
VIOLATIONS = {"power cap": "NVML_PERF_POLICY_POWER", "thermal": "NVML_PERF_POLICY_THERMAL"}
VISIBLE = "CUDA_VISIBLE_DEVICES"


class NoGpu(Exception):
    """There is no NVIDIA driver, it has no GPU, or CUDA_VISIBLE_DEVICES hides all GPUs."""


class NvmlFailed(Exception):
    """There is a driver, but it did not answer."""


@contextmanager
def gpu_handle(nvml: Any = pynvml) -> Iterator[Any]:
    """NVML's handle of the GPU that a worker will use: the first of CUDA_VISIBLE_DEVICES, else
    the first. NVML counts in PCI order, so workers need CUDA_DEVICE_ORDER=PCI_BUS_ID where the
    GPUs of a machine differ. Raises `NoGpu` or `NvmlFailed`."""
    wanted = os.environ.get(VISIBLE, "0").split(",")[0].strip()
    if wanted in ("", "-1"):
        raise NoGpu(f"{VISIBLE} hides all GPUs")
    absent = (
        nvml.NVMLError_LibraryNotFound,
        nvml.NVMLError_DriverNotLoaded,
        nvml.NVMLError_NotFound,
    )
    try:
        nvml.nvmlInit()
    except absent as error:
        raise NoGpu(f"no NVIDIA driver: {error}") from error
    except nvml.NVMLError as error:
        raise NvmlFailed(f"NVML does not start: {error}") from error
    try:
        yield _handle(nvml, wanted)
    except nvml.NVMLError as error:
        raise NvmlFailed(f"NVML does not answer: {error}") from error
    finally:
        nvml.nvmlShutdown()


def _handle(nvml: Any, wanted: str) -> Any:
    """As CUDA reads the variable: an index, or the beginning of the UUID of a GPU or of a part of
    one. A GPU that is divided shows CUDA its first part."""
    count = nvml.nvmlDeviceGetCount()
    if count == 0:
        raise NoGpu("no GPU is visible")
    gpus = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    if wanted.isdigit():
        found = gpus[int(wanted) : int(wanted) + 1]
    else:
        every = [part for gpu in gpus for part in _parts(nvml, gpu)]
        found = [h for h in (*gpus, *every) if text(nvml.nvmlDeviceGetUUID(h)).startswith(wanted)]
    if len(found) != 1:
        problem = "matches more than one GPU" if found else "is no GPU of this machine"
        raise NoGpu(f"{VISIBLE}={wanted} {problem}; `nvidia-smi -L` lists them")
    return next(iter(_parts(nvml, found[0])), found[0])


def _parts(nvml: Any, handle: Any) -> list[Any]:
    """The parts of a GPU that is divided (MIG); empty for any other, and for a part."""
    mode = ask(nvml, "nvmlDeviceGetMigMode", handle)
    if not mode or not mode[0]:
        return []
    places = range(ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0)
    parts = [ask(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, place) for place in places]
    return [part for part in parts if part is not None]


def ask(nvml: Any, name: str, *arguments: Any) -> Any:
    """The answer of one NVML function; None if this driver, this binding or this device has none."""
    try:
        return getattr(nvml, name)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def gpu_present(nvml: Any = pynvml) -> bool:
    """Whether a worker will see a GPU. Raises `NvmlFailed` if the driver does not answer."""
    try:
        with gpu_handle(nvml):
            return True
    except NoGpu:
        return False


def text(value: str | bytes) -> str:
    """Older versions of the binding return bytes."""
    return value.decode() if isinstance(value, bytes) else value


@dataclass(frozen=True)
class GpuState:
    """State of a GPU at one moment, to detect disturbed windows."""

    throttle_reasons: tuple[str, ...] | None  # None if NVML does not tell
    sm_clock_mhz: int | None
    processes: int | None  # other compute processes; None if NVML cannot list them
    # Nanoseconds of throttling since the driver was loaded, by reason, and the clock at that moment.
    throttled_ns: dict[str, int] = field(default_factory=dict)
    at_ns: int = 0


def gpu_state(nvml: Any = pynvml, *, own_processes: int = 0) -> GpuState:
    """Reads clock, throttling and the number of other compute processes. Processes are counted,
    not named: a container sees other process ids than NVML reports, and where NVML lists fewer than
    one's own, it says nothing about others. Raises `NoGpu` or `NvmlFailed`."""
    with gpu_handle(nvml) as handle:
        bits, processes = event_reasons(nvml, handle), process_count(nvml, handle)
        throttled, at_ns = _throttled(nvml, handle), time.monotonic_ns()
        return GpuState(
            throttle_reasons=None if bits is None else named(bits, THROTTLE_REASONS),
            sm_clock_mhz=ask(nvml, "nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_SM),
            processes=None
            if processes is None or processes < own_processes
            else processes - own_processes,
            throttled_ns=throttled,
            at_ns=at_ns,
        )


def event_reasons(nvml: Any, handle: Any) -> int | None:
    """The bits of what holds the clocks down at this moment. Drivers before 535 call them throttle
    reasons."""
    for name in ("Event", "Throttle"):
        bits: int | None = ask(nvml, f"nvmlDeviceGetCurrentClocks{name}Reasons", handle)
        if bits is not None:
            return bits
    return None


def named(bits: int, words: dict[int, str]) -> tuple[str, ...]:
    return tuple(word for bit, word in words.items() if bits & bit)


def _throttled(nvml: Any, handle: Any) -> dict[str, int]:
    found = {}
    for reason, policy in VIOLATIONS.items():
        counter = ask(nvml, "nvmlDeviceGetViolationStatus", handle, getattr(nvml, policy, None))
        if counter is not None:
            found[reason] = int(counter.violationTime)
    return found


def process_count(nvml: Any, handle: Any) -> int | None:
    listed = ask(nvml, "nvmlDeviceGetComputeRunningProcesses", handle)
    return None if listed is None else len(listed)


def free_bytes(nvml: Any = pynvml) -> int:
    """Free device memory. Raises `NoGpu` or `NvmlFailed`."""
    with gpu_handle(nvml) as handle:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).free)


def compute_processes(nvml: Any = pynvml) -> list[str] | None:
    """The compute processes on the GPU, one text each: name, process id as NVML reports it (in a
    container the host's) and memory if known. None if NVML does not list them; in a container the
    list may be empty although there are some. Raises `NoGpu` or `NvmlFailed`."""
    with gpu_handle(nvml) as handle:
        found = ask(nvml, "nvmlDeviceGetComputeRunningProcesses", handle)
        return None if found is None else [_process_text(nvml, process) for process in found]


def _process_text(nvml: Any, process: Any) -> str:
    name = ask(nvml, "nvmlSystemGetProcessName", process.pid)  # none: outside the container
    held = getattr(process, "usedGpuMemory", None)
    memory = f", {held / 2**30:.1f} GiB" if held is not None else ""
    return f"{text(name) if name else 'a process'} (process {process.pid}{memory})"
