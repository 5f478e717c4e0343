"""Runs a module of ftbench with the arguments that follow: `python start.py MODULE ARGUMENT…`.

This file is started by its path, which no folder and no variable can hide."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def start() -> None:
    # Python puts the folder of a script first, but its modules are no top-level modules.
    here = os.path.realpath(HERE)
    sys.path[:] = [place for place in sys.path if os.path.realpath(place or ".") != here]
    spec = importlib.util.spec_from_file_location(
        "ftbench", HERE / "__init__.py", submodule_search_locations=[str(HERE)]
    )
    assert spec is not None and spec.loader is not None
    package = sys.modules["ftbench"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    package.use_own_packages()
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    start()
