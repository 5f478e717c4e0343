"""The cache folder, and files in it that one process makes once and completely."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from benchmarks.harness.errors import UserError, first_line
from benchmarks.harness.machine.paths import user_path


def cache_folder() -> Path:
    """FTBENCH_CACHE if set, else the platform's cache folder of the user."""
    named = os.environ.get("FTBENCH_CACHE") or platformdirs.user_cache_dir("ftbench", False)
    folder = user_path(named)
    if named.startswith("~") and str(folder) == named:  # nobody's home
        raise UserError(f"cache folder {named!r}: no home folder; set FTBENCH_CACHE to a folder")
    return folder.absolute()


def kernel_cache() -> Path:
    """The folder in which the CUDA driver keeps kernels that it compiled; made where it is missing.

    Errors: UserError where it cannot be made."""
    folder = cache_folder() / "cuda-kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(folder, error) from error
    return folder


def make_once(target: Path, make: Callable[[Path], None], is_good: Callable[[Path], bool]) -> bool:
    """Makes `target`, a file or a folder, unless it exists and is good. Returns True if it did.

    `make` writes to the path that it is given, which is then renamed, so that nobody sees a
    partial one. A lock lets one process make it while others wait. If `is_good` rejects an
    existing one (damaged on disk, for example), it is made again.
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
        raise _not_written(target, error) from error
    return False


def _not_written(target: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {target} ({error.strerror or first_line(error)}): free some space there, or set "
        "FTBENCH_CACHE to another folder"
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
