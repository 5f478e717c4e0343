"""Starts modules of ftbench in processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]  # holds `benchmarks`: a checkout, or `ftbench` if it is installed
_START = next(
    path for path in (_ROOT / "ftbench" / "start.py", _ROOT / "start.py") if path.is_file()
)


def module_command(module: str, *arguments: str, python: str | Path = sys.executable) -> list[str]:
    """The command that runs a module as `python -m` does, whatever the working directory and
    PYTHONPATH contain."""
    return [str(python), str(_START), module, *arguments]
