"""`pytest -p ftbench.suite`: the benchmarks of an installation, in any project.

Their options are known only if pytest is given their folder, which lies where Python installs packages.
"""

from __future__ import annotations

import pytest

import ftbench


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Names the folder, before the options and after whatever else was named."""
    folder = str(ftbench.ROOT / "benchmarks")
    args.append(folder)
    early_config.known_args_namespace.file_or_dir.append(folder)
