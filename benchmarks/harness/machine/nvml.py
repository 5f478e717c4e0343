"""Reads a GPU through NVML, from the parent process and without a framework.

Functions take the NVML module as an argument, so that tests can pass a fake that answers as
NVML's documentation says.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import pynvml

# Bits of NVML's clocks-event reasons (nvml.h); idleness is not a disturbance and is excluded.
THROTTLE_REASONS = {
    0x002: "clocks set by an application",
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
    0x100: "display clocks",
}


class NoGpu(Exception):
    """There is no NVIDIA driver, it has no GPU, or CUDA_VISIBLE_DEVICES hides all GPUs."""


class NvmlFailed(Exception):
    """There is a driver, but it did not answer."""


@contextmanager
def gpu_handle(nvml: Any = pynvml) -> Iterator[Any]:
    """NVML's handle of the GPU that a worker will use: the first of CUDA_VISIBLE_DEVICES, else
    the first. NVML counts in PCI order, so workers need CUDA_DEVICE_ORDER=PCI_BUS_ID where the
    GPUs of a machine differ. Raises `NoGpu` or `NvmlFailed`."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if wanted in ("", "-1"):
        raise NoGpu("CUDA_VISIBLE_DEVICES hides all GPUs")
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
    if nvml.nvmlDeviceGetCount() == 0:
        raise NoGpu("no GPU is visible")
    if not wanted.isdigit():
        return nvml.nvmlDeviceGetHandleByUUID(wanted)
    if int(wanted) >= nvml.nvmlDeviceGetCount():
        raise NoGpu(f"CUDA_VISIBLE_DEVICES names GPU {wanted}, which does not exist")
    return nvml.nvmlDeviceGetHandleByIndex(int(wanted))


def gpu_present(nvml: Any = pynvml) -> bool:
    """Whether a worker will see a GPU. Raises `NvmlFailed` if the driver does not answer."""
    try:
        with gpu_handle(nvml):
            return True
    except NoGpu:
        return False


def _text(value: str | bytes) -> str:
    """Older versions of the binding return bytes."""
    return value.decode() if isinstance(value, bytes) else value


@dataclass(frozen=True)
class GpuState:
    """State of a GPU at one moment, to detect disturbed windows."""

    throttle_reasons: tuple[str, ...]
    sm_clock_mhz: int
    memory_clock_mhz: int
    processes: int | None  # other compute processes; None if NVML cannot list them


def gpu_state(nvml: Any = pynvml, *, own_processes: int = 0) -> GpuState:
    """Reads clocks, throttle reasons and the number of other compute processes. Processes are
    counted, not named: a container sees other process ids than NVML reports, and may see no
    process outside it. Raises `NoGpu` or `NvmlFailed`."""
    with gpu_handle(nvml) as handle:
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
        processes = _process_count(nvml, handle)
        return GpuState(
            throttle_reasons=tuple(why for bit, why in THROTTLE_REASONS.items() if bits & bit),
            sm_clock_mhz=int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            memory_clock_mhz=int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            processes=None if processes is None else max(0, processes - own_processes),
        )


def _process_count(nvml: Any, handle: Any) -> int | None:
    try:
        return len(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission):
        return None


def free_bytes(nvml: Any = pynvml) -> int:
    """Free device memory. Raises `NoGpu` or `NvmlFailed`."""
    with gpu_handle(nvml) as handle:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).free)


def compute_processes(nvml: Any = pynvml) -> list[str] | None:
    """The compute processes on the GPU, one text each: name, process id as NVML reports it (in a
    container the host's) and memory if known. None if NVML may not list them; in a container the
    list may be empty although there are some. Raises `NoGpu` or `NvmlFailed`."""
    with gpu_handle(nvml) as handle:
        try:
            found = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission):
            return None
        return [_process_text(nvml, process) for process in found]


def _process_text(nvml: Any, process: Any) -> str:
    try:
        name = _text(nvml.nvmlSystemGetProcessName(process.pid))
    except nvml.NVMLError:  # outside the container, or ended
        name = "a process"
    held = getattr(process, "usedGpuMemory", None)
    memory = f", {held / 2**30:.1f} GiB" if held is not None else ""
    return f"{name} (process {process.pid}{memory})"


class DeviceMemory:
    """Peak memory of a job on the whole GPU: NVML's peak device use minus the use before.

    Enter it before the worker starts and leave it after the worker's last step. It samples from a
    thread of this process, never in the worker. It counts everything that the worker holds,
    context and libraries included, and everything that other processes allocate meanwhile: the
    figure is valid on an exclusive GPU only, and `shared` is set when another compute process was
    seen. A peak shorter than the sampling interval can be missed.

        with DeviceMemory() as memory:
            ...  # the worker runs
        memory.peak_bytes
    """

    def __init__(self, *, interval_seconds: float = 0.02, nvml: Any = pynvml) -> None:
        self._interval_seconds, self._nvml = interval_seconds, nvml
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._highest_bytes = 0
        self.used_before_bytes = 0
        self.samples = 0
        self.shared = False

    def __enter__(self) -> DeviceMemory:
        """Reads the use before. Raises `NoGpu` or `NvmlFailed`."""
        self._thread = threading.Thread(target=self._run, name="device-memory", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_bytes(self) -> int:
        """Peak above the use before. Raises `NvmlFailed` if a sample failed."""
        if self._error is not None:
            raise self._error
        return self._highest_bytes - self.used_before_bytes

    def _run(self) -> None:
        try:
            with gpu_handle(self._nvml) as handle:
                self._sample(handle)
                self.used_before_bytes = self._highest_bytes
                # No process is expected before the worker starts, and only the worker afterwards.
                self.shared = (_process_count(self._nvml, handle) or 0) > 0
                self._ready.set()
                while not self._stop.wait(self._interval_seconds):
                    self._sample(handle)
                    self.shared |= (_process_count(self._nvml, handle) or 0) > 1
                self._sample(handle)
        except (NoGpu, NvmlFailed) as error:
            self._error = error
        finally:
            self._ready.set()

    def _sample(self, handle: Any) -> None:
        used = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used)
        self._highest_bytes = max(self._highest_bytes, used)
        self.samples += 1
