"""Where made things are kept, and how they are made once, whole, by one process."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from benchmarks.harness.errors import UserError

_CANNOT_WRITE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
}


def cache_folder() -> Path:
    """FTBENCH_CACHE, else the user's cache folder of the platform."""
    named = os.environ.get("FTBENCH_CACHE")
    return Path(named).absolute() if named else Path(platformdirs.user_cache_dir("ftbench", False))


def made_once(target: Path, make: Callable[[Path], None], is_good: Callable[[Path], bool]) -> bool:
    """Sees to it that `target`, a file or a folder, is there and good; True when it already was.

    `make` writes it at the path that it is given, which is then renamed, so that nobody sees a
    half-made one. A lock lets one process make it while others wait. One that `is_good` refuses
    (damaged on the disk, say) is made anew.
    """
    if target.exists() and is_good(target):
        return True
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if target.exists():  # made by another process while this one waited
                if is_good(target):
                    return True
                _remove(target)
            try:
                make(partial)
                os.replace(partial, target)
            finally:
                _remove(partial)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise UserError(
            f"cannot write {target} ({error.strerror}): make room there, or name "
            "another folder in FTBENCH_CACHE"
        ) from error
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
