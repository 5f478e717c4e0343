"""The one name under which ftbench can be imported once it is installed.

Its packages are called `benchmarks`, `frameworks` and `results`, as folders and modules of many
projects are. An installation holds them inside this package, where they hide nobody's modules, and
the command and its workers look for these three names here first, so nobody's modules hide them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("benchmarks", "frameworks", "results")
_HERE = Path(__file__).parent
# The folder with the three packages: this one in an installation, the one above in a checkout.
ROOT = _HERE if (_HERE / PACKAGES[0]).is_dir() else _HERE.parent


class _Finder:
    """Finds the three packages in ROOT, whatever `sys.path` contains."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(ROOT)]) if name in PACKAGES else None


def use_own_packages() -> None:
    """Makes this process import the three packages from ROOT.

    Errors: ImportError, in one line, for a module of that name that was imported before."""
    for name in PACKAGES:
        module = sys.modules.get(name)
        places = [os.path.realpath(place) for place in getattr(module, "__path__", ())]
        if module is not None and os.path.realpath(ROOT / name) not in places:
            raise ImportError(
                f"ftbench: another module named {name!r} was imported before ftbench's own: "
                f"{getattr(module, '__file__', None) or ', '.join(places)}: rename it, or remove "
                "what imports it when Python starts (a .pth file, sitecustomize or a plugin)"
            )
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def main() -> int:
    """The command `ftbench`."""
    try:
        use_own_packages()
    except ImportError as error:
        print(error, file=sys.stderr)
        return 2
    from benchmarks.harness.cli.main import main as command_line

    return command_line()
