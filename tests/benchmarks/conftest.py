"""Whole runs on tiny random models in real workers. What depends on no framework (how runs are planned,
raced, stopped and resumed) runs on `logistic`, whose workers start in half a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import frameworks
from benchmarks.harness.cli.main import main
from benchmarks.harness.machine import packages
from benchmarks.harness.predict.calibration import calibrations
from frameworks.contract import backends
from results.schema import Measurement
from results.store import latest_run, read_run

ROOT = Path(__file__).parents[2]
FAKE_BACKENDS = ROOT / "tests" / "fake_backend"
PROFILE = """
description = "tiny, for tests"
checkpoint = "random:tiny-bert"
data = "embedded"
backends = {backends}
questions = {questions}
job_seconds = {job_seconds}
[recipe]
batch_size = 4
length = 16
padding = "longest"
{recipe}
[tasks.imdb]
train_examples = 64
evaluation_examples = 32
[throughput]
launches = {launches}
rounds = 2
windows = 2
retakes = 0
steps_per_window = {steps_per_window}
evaluation_windows = 1
evaluation_batches = 2
control = {controls}
noise_pair = {controls}
[memory]
steps = {memory_steps}
"""


def here(*backends: str) -> list[str]:
    """Those of the backends that can run in this environment."""
    found = [backend for backend in backends if packages.missing_packages(backend) is None]
    if not found:
        pytest.skip(f"none of {', '.join(backends)} is installed")
    return found


def write_profile(
    folder: Path,
    backends: list[str],
    questions: tuple[str, ...] = ("throughput", "memory"),
    job_seconds: int = 200,
    recipe: str = "",
    steps_per_window: int = 2,
    memory_steps: int = 3,
    controls: bool = False,
    launches: int = 1,
) -> Path:
    file = folder / "tiny.toml"
    file.write_text(
        PROFILE.format(
            backends=backends,
            questions=list(questions),
            job_seconds=job_seconds,
            recipe=recipe,
            steps_per_window=steps_per_window,
            memory_steps=memory_steps,
            controls=str(controls).lower(),
            launches=launches,
        )
    )
    return file


@pytest.fixture
def profile(tmp_path: Path) -> Callable[..., Path]:
    return partial(write_profile, tmp_path)


@pytest.fixture(scope="module")
def logistic() -> Iterator[str]:
    """The smallest backend, here and in every process that is started meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTBENCH_BACKENDS", str(FAKE_BACKENDS))
        patch.setattr(frameworks, "__path__", [*frameworks.__path__, str(FAKE_BACKENDS)])
        backends.cache_clear()
        calibrations.cache_clear()
        yield "logistic"
    backends.cache_clear()
    calibrations.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def no_part_of_a_parallel_run() -> None:
    """These tests may run two at a time; the suites that they start are no part of that."""
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        del os.environ[name]


def start(*arguments: str | Path, **options: object) -> subprocess.Popen[str]:
    """A command of this interpreter, such as `-m pytest`, in the repository's root or another
    `cwd`."""
    settings: dict[str, object] = {
        "cwd": ROOT,
        "text": True,
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": {
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "200",
            "PYTHONPATH": str(ROOT),
        },
    }
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, *map(str, arguments)], **settings | options
    )


def finish(process: subprocess.Popen[str], seconds: float = 300) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=seconds)
    return process.returncode, output, errors


def ftbench(*arguments: str | Path) -> tuple[int, str, str]:
    return finish(start("-m", "benchmarks.harness.cli", *arguments))


def measured(results: Path) -> dict[str, Measurement]:
    """The last run's measurements by job; all of its files must be readable."""
    folder = latest_run(results)
    assert folder is not None
    _, measurements, problems = read_run(folder)
    assert problems == []
    return {m.job.id: m for m in measurements}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line with which a command that starts nothing ends, in this process."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")  # --device cpu sets it in this process
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse's own way
            code = ended.code
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)
    output, errors = capsys.readouterr()
    assert code == 2, (output, errors)
    lines = errors.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("ftbench"), errors
    return lines[0]
