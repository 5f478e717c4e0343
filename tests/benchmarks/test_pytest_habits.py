"""pytest as people use it: any selection and any order gives figures or says why not, in seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from results.schema import Throughput
from tests.benchmarks.conftest import ROOT, finish, measured, start

Profile = Callable[..., Path]
pytestmark = pytest.mark.once
REVERSED = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.reverse()
"""
OWNS_PROFILE = """
def pytest_addoption(parser):
    parser.addoption("--profile", action="store_true")
"""


@pytest.fixture
def file(logistic: str, profile: Profile) -> Path:
    return profile([logistic], questions=("throughput",), job_seconds=100)


def suite(results: Path, file: Path, *arguments: str) -> tuple[int, str]:
    """A plugin that `arguments` name may lie in the results folder."""
    command = ("-m", "pytest", "-p", "no:cacheprovider", "--profile", file, "--results", results)
    process = start(
        *command,
        *(arguments if any("::" in word for word in arguments) else ("benchmarks", *arguments)),
        env=environment(results),
    )
    code, output, errors = finish(process)
    return code, output + errors


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(folder)])
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "200", "PYTHONPATH": path}


def timed(results: Path) -> Throughput:
    (measurement,) = measured(results).values()
    return measurement.require(Throughput)


def test_evaluation_alone_waits_for_no_training(tmp_path: Path, file: Path) -> None:
    code, output = suite(tmp_path, file, "--benchmark-only", "-k", "evaluation_speed")
    assert code == 0 and "2 passed" in output, output
    found = timed(tmp_path)
    assert found.windows == [] and [w.round for w in found.evaluation_windows] == [0, 1]


def test_a_plugin_that_shuffles_changes_no_turn(tmp_path: Path, file: Path) -> None:
    """Without its clock too: pytest-benchmark then calls every test's function once."""
    (tmp_path / "reversed_order.py").write_text(REVERSED)
    code, output = suite(tmp_path, file, "-p", "reversed_order", "--benchmark-disable")
    assert code == 0 and "4 passed" in output, output
    found = timed(tmp_path)
    assert [w.round for w in found.windows] == [0, 1]
    assert [w.round for w in found.evaluation_windows] == [0, 1]
    assert all(window.seconds > 0 for window in found.windows)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--collect-only", "-q"), 0, "test_training_speed[imdb-"),
        (("--benchmark-skip",), 0, "4 skipped"),
        (("-n", "2"), 4, "ftbench: -n: benchmarks that run at the same time disturb each other"),
        (("-p", "owns_profile"), 4, "another pytest plugin uses one of ftbench's options"),
        (("-p", "no:benchmark"), 4, "ftbench: needs pytest-benchmark: leave out -p no:benchmark"),
        (("--checkpoint", ""), 2, "ftbench: --checkpoint is empty"),
        (("-k", "nothing_like_this"), 5, "4 deselected"),
    ],
)
def test_what_measures_nothing_starts_nothing(
    tmp_path: Path, file: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    (tmp_path / "owns_profile.py").write_text(OWNS_PROFILE)
    ended, output = suite(tmp_path, file, *arguments)
    assert ended == code and text in output, output
    assert "Traceback" not in output and "INTERNALERROR" not in output
    assert not (tmp_path / "runs").exists()


def test_a_comparison_with_other_work_ends_before_anything_is_measured(
    tmp_path: Path, file: Path
) -> None:
    saved, table = tmp_path / "saved.json", tmp_path / "table.csv"
    only = ("--benchmark-only", "-k", "training_speed and launch1-round1")
    code, output = suite(tmp_path, file, *only, f"--benchmark-json={saved}")
    assert code == 0, output
    (row,) = json.loads(saved.read_text())["benchmarks"]
    assert row["params"]["job"].startswith("throughput-imdb-") and row["params"]["round_"] == 0
    code, _, errors = finish(start("-m", "pytest_benchmark", "compare", saved, f"--csv={table}"))
    assert code == 0 and row["params"]["job"] in table.read_text(), errors
    compare = (*only, f"--benchmark-compare={saved}")
    code, output = suite(tmp_path / "other", file, *compare, "--recipe", "batch_size=8")
    assert code == 2 and "with batch_size = 4, this one uses 8: compare runs of the same" in output
    assert "Traceback" not in output and not (tmp_path / "other").exists()
    code, output = suite(tmp_path / "same", file, *compare, "--collect-only")
    assert code == 0, output
