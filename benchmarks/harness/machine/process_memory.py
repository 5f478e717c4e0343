"""Memory of a process: peak resident memory (the kernel's `VmHWM`, after a reset) and data
segment.

Counts resident pages, in bytes. Never `ru_maxrss`: it survives exec, so a worker would begin with
its parent's peak. The mark can be reset by writing 5 to `clear_refs` (Linux 4.0 and later, for
processes of the same user); where the kernel or a sandbox has no such file, there is no figure.
"""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

RESET_HIGH_WATER_MARK = "5"  # proc(5), /proc/pid/clear_refs


def reset_peak(pid: int | None = None) -> int | None:
    """Resets the peak of a process (this one by default) and returns it, in bytes: its current
    resident memory. None if the mark cannot be reset. Raises ProcessLookupError if there is no
    such process."""
    folder = _folder(pid)
    try:
        (folder / "clear_refs").write_text(RESET_HIGH_WATER_MARK)
    except ProcessLookupError:
        raise
    except OSError:
        return None
    return peak(pid)


def peak(pid: int | None = None) -> int | None:
    """Peak resident bytes since the last reset, or since the process began. None if the kernel has
    no such mark. Raises ProcessLookupError if there is no such process."""
    for line in (_folder(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024  # the file says kB and means KiB
    return None


def _folder(pid: int | None) -> Path:
    folder = Path("/proc") / str(os.getpid() if pid is None else pid)
    if not folder.exists():
        raise ProcessLookupError(f"no process {pid}")
    return folder


INTERVAL_SECONDS = 0.005


def limit_data_segment(limit_bytes: int) -> None:
    """Limits this process's data segment; `remove_data_limit` removes the limit. Raises ValueError if a
    lower hard limit exists."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard_limit()))


def remove_data_limit() -> None:
    """Removes the limit of `limit_data_segment`."""
    resource.setrlimit(resource.RLIMIT_DATA, (hard_limit(), hard_limit()))


def hard_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_DATA)[1]


class MemoryUse(NamedTuple):
    """Memory of a process at one moment, in bytes."""

    data: int  # its data segment, resident or not
    resident: int  # anonymous pages that it has touched


def read_memory(pid: int | None = None, proc: Path = Path("/proc")) -> MemoryUse | None:
    """Reads the memory of a process, this one by default. None if it has ended."""
    try:
        text = (proc / str(os.getpid() if pid is None else pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = dict(line.split(":", 1) for line in text.splitlines())
    if "VmData" not in fields:  # a zombie
        return None
    data, resident = (int(fields[name].split()[0]) * 1024 for name in ("VmData", "RssAnon"))
    return MemoryUse(data, resident)  # the file says kB and means KiB


class DataPeak:
    """Samples the memory of a process from a thread, until the `with` block or the process ends.

    with DataPeak(worker.pid) as peak:
        ...  # the worker runs
    peak.highest
    """

    def __init__(self, pid: int, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._pid, self._interval_seconds = pid, interval_seconds
        self._stop = threading.Event()
        self.highest = MemoryUse(0, 0)  # the maximum of each

    def __enter__(self) -> DataPeak:
        self._thread = threading.Thread(target=self._run, name="data-peak", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        stopped = False
        while (now := read_memory(self._pid)) is not None:
            self.highest = MemoryUse(*map(max, self.highest, now))
            if stopped:
                return
            stopped = self._stop.wait(self._interval_seconds)
