"""Peak memory of a job on the whole GPU, sampled through NVML from the parent process."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import pynvml

from benchmarks.harness.machine.nvml import NoGpu, NvmlFailed, gpu_handle, process_count


class DeviceMemory:
    """NVML's peak device use minus the use before.

    Enter it before the worker starts and leave it after the worker's last step. It samples from a
    thread of this process, never in the worker. It counts everything that the worker holds,
    context and libraries included, and everything that other processes allocate meanwhile: the
    figure is valid on an exclusive GPU only. `shared` is set when another compute process was
    seen, and `listed` when NVML listed the worker: where it does not, it would not list another
    process either. A peak shorter than the sampling interval can be missed.

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
        self.shared = self.listed = False

    def __enter__(self) -> DeviceMemory:
        """Reads the use before. An error is raised by `peak_bytes`, not here: the worker's other
        figures do not depend on it."""
        self._thread = threading.Thread(target=self._run, name="device-memory", daemon=True)
        self._thread.start()
        self._ready.wait()
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
        """Peak above the use before. Raises `NoGpu`, or `NvmlFailed` if a sample failed."""
        if self._error is not None:
            raise self._error
        return self._highest_bytes - self.used_before_bytes

    def _run(self) -> None:
        try:
            with gpu_handle(self._nvml) as handle:
                self._sample(handle)
                self.used_before_bytes = self._highest_bytes
                # No process is expected before the worker starts, and only the worker afterwards.
                self.shared = (process_count(self._nvml, handle) or 0) > 0
                self._ready.set()
                while not self._stop.wait(self._interval_seconds):
                    self._sample(handle)
                    processes = process_count(self._nvml, handle) or 0
                    self.shared |= processes > 1
                    self.listed |= processes > 0
                self._sample(handle)
        except (NoGpu, NvmlFailed) as error:
            self._error = error
        finally:
            self._ready.set()

    def _sample(self, handle: Any) -> None:
        used = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used)
        self._highest_bytes = max(self._highest_bytes, used)
        self.samples += 1
