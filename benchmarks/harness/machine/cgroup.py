"""Control groups: their folders, and a memory limit for one worker in addition to RLIMIT_DATA.

RLIMIT_DATA does not count shared memory and page tables. If the kernel allows a group below one's
own, its limit ends a worker that grows that way, before the machine runs out. It is a little
higher than the budget, so that RLIMIT_DATA applies first. Many machines allow this only to root.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path


def group_folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control group and of all groups above it."""
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / controller
        else:
            continue
        # A container sees its own group as the top, under a path that only the host knows.
        folder = top / path.strip("/")
        yield from (top, *(f for f in (folder, *folder.parents) if top in f.parents))


def read_text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


SLACK_BYTES = 512 * 2**20  # above the budget: libraries' pages and the kernel's own


LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")  # version 2, version 1


_numbers = itertools.count()


@contextlib.contextmanager
def memory_group(budget_bytes: int, root: Path = Path("/")) -> Iterator[Path | None]:
    """Creates a group and yields its folder, or None if it cannot be created. The folder is removed
    at the end if its process has ended."""
    folder = _make(budget_bytes + SLACK_BYTES, root)
    try:
        yield folder
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):  # a process that is still alive keeps it
                folder.rmdir()


def enter(folder: Path, pid: int) -> None:
    """Moves a process into a group. Memory that it allocated before is not counted."""
    with contextlib.suppress(ProcessLookupError):  # it has ended
        (folder / "cgroup.procs").write_text(str(pid))


def _make(limit_bytes: int, root: Path) -> Path | None:
    """Creates a group below this process's own, so that the limits above still apply."""
    groups = [folder for folder in group_folders(root, "memory") if folder.is_dir()]
    if not groups:
        return None
    folder = max(groups, key=lambda f: len(f.parts)) / f"ftbench-{os.getpid()}-{next(_numbers)}"
    try:
        folder.mkdir()
    except OSError:
        return None
    for name in LIMIT_FILES:
        with contextlib.suppress(OSError):  # of the other version, or no permission
            if (folder / name).exists():
                (folder / name).write_text(str(limit_bytes))
                return folder
    with contextlib.suppress(OSError):
        folder.rmdir()
    return None
