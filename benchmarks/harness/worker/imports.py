"""Imports a backend's framework into a worker, without what no job needs."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from frameworks.contract import backends

# transformers imports these two where they are installed, and ftbench's own report needs SciPy. No job
# does: SciPy and its BLAS, with a buffer for every thread, would add 90 MiB to a worker of two cores.
NOT_IMPORTED = ("scipy", "sklearn")


def import_backend(name: str) -> ModuleType:
    """The backend's `train` module, with its framework."""
    hide_unneeded()
    return importlib.import_module(f"{backends()[name].package}.train")


def hide_unneeded() -> None:
    """Makes the packages look as if they were not installed."""
    for package in NOT_IMPORTED:
        sys.modules.setdefault(package, None)  # type: ignore[arg-type]


def show_all() -> None:
    """Lets the user's own code import the packages again."""
    for package in NOT_IMPORTED:
        if sys.modules.get(package, ...) is None:
            del sys.modules[package]
