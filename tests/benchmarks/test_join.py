"""Two environments of one calling process, as one call of tox makes them, share a run."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.jobs.attempt import Excluded, excluded_measurement
from benchmarks.harness.machine import packages as installed
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.run.folder import RunFolder
from results.report import as_markdown
from results.schema import RunInfo
from results.store import read_run, runs
from tests.benchmarks.conftest import ROOT, here


@pytest.mark.once
def test_one_parent_makes_one_run(
    tmp_path: Path, logistic: str, profile: Callable[..., Path]
) -> None:
    backend, other = logistic, f"{logistic}_twin"
    file = profile([backend, other], questions=("memory",))
    command = (
        f"{sys.executable} -m pytest benchmarks --benchmark-only -p no:cacheprovider "
        f"--profile {file} --results {tmp_path} -k '{{}}'"
    )
    script = f"{command.format('not ' + other)} && {command.format(other)}; exit $?"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "FTBENCH_JOIN": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = runs(tmp_path)
    info, measurements, problems = read_run(folder)
    assert isinstance(info, RunInfo) and problems == []
    found = {m.job.backend: m.status for m in measurements}
    assert found[backend] == "ok" and set(found) == {backend, other}
    assert done.stdout.count(str(folder / "report.html")) == 2


@pytest.mark.once
def test_what_two_calls_add_was_not_raced_together(
    tmp_path: Path, logistic: str, profile: Callable[..., Path]
) -> None:
    """A loop and its control, chosen one after the other: their windows are of other times."""
    file = profile([logistic], questions=("throughput",), controls=True)
    command = (
        f"{sys.executable} -m pytest benchmarks --benchmark-only -p no:cacheprovider "
        f"--profile {file} --results {tmp_path} -k "
    )
    done = subprocess.run(
        ["bash", "-c", f"{command} 'not control and not repeat' && {command} control; exit $?"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "FTBENCH_JOIN": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = runs(tmp_path)
    found = {m.job.role: m.throughput for m in read_run(folder)[1]}
    assert set(found) == {"framework", "control"}
    assert len({timed.race for timed in found.values() if timed and timed.race}) == 2
    report = as_markdown([folder])
    assert " not raced together |" in report.split("Overhead of the framework's own loop")[1]


def without(package: str, folder: Path) -> Path:
    """The Python of a new environment with all that is installed here but one package."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith((f"{package}-", f"{package}.")) and path.name != package:
            (packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


def test_backends_of_two_environments_take_turns_in_one_race(
    tmp_path: Path, profile: Callable[..., Path]
) -> None:
    (backend,) = here("keras_rnn")
    if installed.missing_packages("hf_torch"):
        pytest.skip("needs PyTorch and Keras in one environment")
    file = profile(["hf_torch", backend])
    other = without("torch", tmp_path / "other")
    arguments = (
        f"-m pytest benchmarks --benchmark-only -p no:cacheprovider --profile {file} "
        f"--results {tmp_path}"
    )
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} {arguments} --backend hf_torch && {other} {arguments}; exit $?",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "FTBENCH_JOIN": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = runs(tmp_path)
    measurements = read_run(folder)[1]
    assert [m.status for m in measurements] == ["ok"] * 4
    timed = {m.job.backend: m for m in measurements if m.throughput}
    assert set(timed) == {"hf_torch", backend}
    assert len({m.throughput.race for m in timed.values() if m.throughput}) == 1
    assert "torch" in timed["hf_torch"].versions and "torch" not in timed[backend].versions
    assert "skipped" in done.stdout and "torch is not installed" not in done.stderr


@pytest.mark.once
def test_another_environment_never_unmeasures(tmp_path: Path, profile: Callable[..., Path]) -> None:
    """What one environment measured stays when the next one lacks the framework."""
    file = profile(["hf_torch"], questions=("memory",))
    plan = make_plan(Choice(profile=str(file)), load_profile(str(file)), ["imdb"], "")
    run = RunFolder.new(tmp_path, plan)
    run.create()
    (spec,) = plan.jobs
    absent = excluded_measurement(
        Excluded(spec, "not_installed", "torch is not installed"), run.device
    )
    run.record(absent)
    assert [m.status for m in run.measurements()] == ["not_installed"]
    run.record(absent.model_copy(update={"status": "failed", "reason": "measured elsewhere"}))
    run.record(absent)
    assert [m.status for m in run.measurements()] == ["failed"]
