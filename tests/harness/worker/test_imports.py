"""A measured worker holds what it needs and no more: its memory is what is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOT_NEEDED = {
    "pyarrow",
    "pandas",
    "scipy",
    "datasets",
    "tokenizers",
    "huggingface_hub",
    "requests",
    "httpx",
    "urllib3",
    "jinja2",
    "rich",
    "pytest",
    "psutil",
    "pynvml",
    "platformdirs",
    "filelock",
}
ROOMS = {"cli", "tune", "run", "predict", "limits", "checkpoints"}  # of the parent alone
SHOW = "import json, sys, {}; print(json.dumps(sorted(sys.modules)))"


def imported(module: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", ["__main__", "step_trace"])
def test_a_worker_imports_no_reader_of_data_and_no_downloader(module: str) -> None:
    """The framework comes later, with whatever it imports itself."""
    modules = imported(f"benchmarks.harness.worker.{module}")
    assert not NOT_NEEDED & modules
    assert not {room for room in ROOMS if f"benchmarks.harness.{room}" in modules}
    assert not {name for name in modules if name.startswith(("results.analysis", "results.report"))}
    assert not {
        name for name in modules if name in ("torch", "tensorflow", "keras", "transformers")
    }


def test_a_request_for_a_trace_imports_no_worker() -> None:
    modules = imported("benchmarks.harness.jobs.trace_request")
    assert not {name for name in modules if name.startswith("benchmarks.harness.worker")}


def test_a_framework_finds_no_package_that_only_the_report_needs() -> None:
    """transformers imports what it finds installed."""
    script = (
        "from benchmarks.harness.worker.imports import hide_unneeded; hide_unneeded();"
        "from transformers.utils import is_scipy_available, is_sklearn_available;"
        "print(is_scipy_available(), is_sklearn_available())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
