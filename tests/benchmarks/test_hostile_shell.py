"""A shell full of other people's variables changes no figure: the same losses and threads as in a clean
one, from real workers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.machine import processor
from results.schema import Measurement
from results.store import latest_run, read_run
from tests.benchmarks.conftest import finish, here, start
from tests.harness.jobs.test_environment import HOSTILE

# Nothing that is passed on; PYTHONINSPECT and the like would also reach the command itself.
LEFT_OUT = {name: value for name, value, _ in HOSTILE if not name.startswith("PYTHON")}

EQUIVALENCE = """
[equivalence]
steps = 4
accumulations = [1]
evaluation_examples = 16
"""


@pytest.fixture(params=[pytest.param("hf_torch", marks=pytest.mark.once), "keras_rnn"])
def backend(request: pytest.FixtureRequest) -> str:
    return here(request.param)[0]


def test_the_figures_are_those_of_a_clean_shell(
    backend: str, tmp_path: Path, profile: Callable[..., Path]
) -> None:
    question = "equivalence" if backend == "hf_torch" else "accuracy"
    file = profile([backend], (question,))
    file.write_text(file.read_text() + EQUIVALENCE)
    threads = min(2, processor.usable_cores())
    home = tmp_path / "home"
    for folder in (home / ".keras", tmp_path / "keras"):
        folder.mkdir(parents=True)
        (folder / "keras.json").write_text(json.dumps({"floatx": "float16", "epsilon": 0.1}))
    hostile = LEFT_OUT | {"HOME": str(home), "KERAS_HOME": str(tmp_path / "keras")}
    clean = {name: value for name, value in os.environ.items() if name not in hostile}
    cache = {"FTBENCH_CACHE": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    runs = [
        start(
            *("-m", "benchmarks.harness.cli", "run", "--profile", file),
            *("--results", tmp_path / name, "--threads", str(threads)),
            env=clean | cache | variables,
        )
        for name, variables in (("clean", {}), ("hostile", hostile | {"PYTHONOPTIMIZE": "1"}))
    ]
    for process in runs:
        code, output, errors = finish(process)
        assert code == 0, errors
    own, other = only(tmp_path / "clean"), only(tmp_path / "hostile")
    assert other.effective == own.effective and own.effective is not None
    assert own.effective["threads"] == threads
    assert losses(other) == losses(own) and len(losses(own)) >= 4
    assert other.environment == own.environment
    info = read_run(run_of(tmp_path / "hostile"))[0]
    assert info is not None and "WORLD_SIZE" in info.left_out
    assert "not passed on to workers" in output and "WORLD_SIZE" in output


def run_of(results: Path) -> Path:
    folder = latest_run(results)
    assert folder is not None
    return folder


def only(results: Path) -> Measurement:
    _, (measurement,), problems = read_run(run_of(results))
    assert problems == [] and measurement.status == "ok", measurement.reason
    return measurement


def losses(m: Measurement) -> list[float]:
    if m.trace:
        return list(m.trace.loss)
    assert m.accuracy
    return [point.loss for point in m.accuracy.curve]
