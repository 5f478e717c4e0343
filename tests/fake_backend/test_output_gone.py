"""Output that goes away does not end the work: closed pipes, full devices, files that may not grow,
terminals that vanish. Every run keeps what it measured."""

from __future__ import annotations

import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from results.store import latest_run, read_run
from tests.benchmarks.conftest import ROOT
from tests.fake_backend.test_fake_backend import FOLDER, PROFILE

pytestmark = pytest.mark.once

ENVIRONMENT = {
    **os.environ,
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": str(ROOT),
    "FTBENCH_BACKENDS": str(FOLDER),
}
RUN = [sys.executable, "-m", "benchmarks.harness.cli", "run"]
PYTEST = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"]


def command(start: list[str], folder: Path, question: str = "memory") -> list[str]:
    profile = folder / "profile.toml"
    profile.write_text(PROFILE)
    options = ("--question", question, "--results", folder)
    return [*start, "--profile", str(profile), *map(str, options)]


def all_is_kept(folder: Path, report: bool = True) -> None:
    run = latest_run(folder)
    assert run is not None
    _, measurements, problems = read_run(run)
    assert problems == [] and [m.status for m in measurements] == ["ok", "ok"]
    assert (run / "report.html").exists() == report


@pytest.mark.parametrize(
    ("start", "shell"),
    [
        (RUN, "{} | true"),
        (RUN, "{} 2>&1 | head -1"),
        (RUN, "{} >/dev/full 2>&1"),
        (RUN, "{} >&- 2>&- <&-"),
        (PYTEST, "{} | true"),
        (PYTEST, "{} 2>&1 | head -1"),
        (PYTEST, "{} >/dev/full"),
    ],
    ids=[
        "no reader",
        "reader leaves",
        "full",
        "closed",
        "pytest",
        "pytest, leaves",
        "pytest, full",
    ],
)
def test_a_run_whose_output_goes_away_measures_on(
    start: list[str], shell: str, tmp_path: Path
) -> None:
    line = shell.format(shlex.join(command(start, tmp_path)))
    done = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    all_is_kept(tmp_path)


@pytest.mark.parametrize("start", [RUN, PYTEST], ids=["ftbench", "pytest"])
def test_a_terminal_that_vanishes_does_not_end_a_run(start: list[str], tmp_path: Path) -> None:
    """As when a connection is cut: the terminal's programs get SIGHUP, and writing to it fails."""
    line = command(start, tmp_path)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(line[0], line, ENVIRONMENT)
    while not list(tmp_path.glob("runs/*/jobs/*.json")):  # the first worker has been started
        os.read(terminal, 1000)
    os.close(terminal)
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + 200
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline, os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    all_is_kept(tmp_path)


@pytest.mark.parametrize("limit", [0, 1000, 20_000])
def test_files_that_may_not_grow_end_a_run_with_one_line(limit: int, tmp_path: Path) -> None:
    """As on a full disk: whatever could not be written, there is one line and no traceback."""
    done = subprocess.run(
        command(RUN, tmp_path),
        cwd=ROOT,
        env=ENVIRONMENT | {"FTBENCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=200,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ftbench: ") and "File too large" in line
