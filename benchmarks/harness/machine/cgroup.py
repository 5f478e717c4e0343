"""Memory control groups: a backstop for one worker behind RLIMIT_DATA.

RLIMIT_DATA counts no shared memory and no page tables. Where the kernel lets a group be made below
one's own, its limit ends a worker that grows that way, before the machine runs out. It is a little
higher than the budget, so that it never comes first. Many machines let only root do this.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path


def group_folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control group and of all groups above it."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
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


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


SLACK_BYTES = 512 * 2**20  # above the budget: libraries' pages and the kernel's own


LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")  # version 2, version 1


_numbers = itertools.count()


@contextlib.contextmanager
def memory_group(budget_bytes: int, root: Path = Path("/")) -> Iterator[Path | None]:
    """A new group's folder, removed at the end when its process is gone; None where none can be
    made."""
    folder = _make(budget_bytes + SLACK_BYTES, root)
    try:
        yield folder
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):  # a process of it that lingers keeps it
                folder.rmdir()


def enter(folder: Path, pid: int) -> None:
    """Puts a process into a group. What it took before is not counted."""
    with contextlib.suppress(ProcessLookupError):  # it may have ended
        (folder / "cgroup.procs").write_text(str(pid))


def _make(limit_bytes: int, root: Path) -> Path | None:
    """Below this process's own group, so that the limits above still hold."""
    groups = [folder for folder in group_folders(root, "memory") if folder.is_dir()]
    if not groups:
        return None
    folder = max(groups, key=lambda f: len(f.parts)) / f"ftbench-{os.getpid()}-{next(_numbers)}"
    try:
        folder.mkdir()
    except OSError:
        return None
    for name in LIMIT_FILES:
        with contextlib.suppress(OSError):  # of the other version, or not ours to set
            if (folder / name).exists():
                (folder / name).write_text(str(limit_bytes))
                return folder
    with contextlib.suppress(OSError):
        folder.rmdir()
    return None
