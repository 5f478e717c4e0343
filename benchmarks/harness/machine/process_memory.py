"""Peak resident memory of a process: the kernel's `VmHWM`, after a reset.

Counts resident pages, in bytes. Never `ru_maxrss`: it survives exec, so a worker would begin with
its parent's peak. The mark can be reset by writing 5 to `clear_refs` (Linux 4.0 and later, for
processes of the same user); where the kernel or a sandbox has no such file, there is no figure.
"""

from __future__ import annotations

import os
from pathlib import Path

RESET_HIGH_WATER_MARK = "5"  # proc(5), /proc/pid/clear_refs


def reset_peak(pid: int | None = None) -> int | None:
    """Starts the peak of a process (this one by default) anew and returns it, in bytes: its
    resident memory now. None where the mark cannot be reset; `ProcessLookupError` where there is
    no such process."""
    folder = _folder(pid)
    try:
        (folder / "clear_refs").write_text(RESET_HIGH_WATER_MARK)
    except ProcessLookupError:
        raise
    except OSError:
        return None
    return peak(pid)


def peak(pid: int | None = None) -> int | None:
    """Peak resident bytes since the last reset, or since the process began without one. None
    where the kernel keeps no such mark; `ProcessLookupError` where there is no such process."""
    for line in (_folder(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024  # the file says kB and means KiB
    return None


def _folder(pid: int | None) -> Path:
    folder = Path("/proc") / str(os.getpid() if pid is None else pid)
    if not folder.exists():
        raise ProcessLookupError(f"no process {pid}")
    return folder
