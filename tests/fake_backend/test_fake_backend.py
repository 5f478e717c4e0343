"""A backend is one folder: `logistic` is only a folder here, and every question runs on it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from results.schema import Measurement
from results.store import latest_run, read_certificates
from tests.benchmarks.conftest import ROOT, finish, measured, start

FOLDER = Path(__file__).parent
BACKENDS = ["logistic", "logistic_twin"]
PROFILE = f"""
description = "a backend that is only a folder"
checkpoint = "random:tiny-bert"
data = "embedded"
backends = {BACKENDS}
questions = ["equivalence", "throughput", "memory", "accuracy", "batch_limit"]
job_seconds = 200
[recipe]
batch_size = 8
length = 16
learning_rate = 1e-2
[tasks.imdb]
train_examples = 320
evaluation_examples = 160
[equivalence]
steps = 20
accumulations = [1]
[throughput]
launches = 2
rounds = 2
windows = 2
retakes = 0
steps_per_window = 2
evaluation_windows = 1
evaluation_batches = 2
control = true
noise_pair = false
[memory]
steps = 3
[batch_limit]
budgets = ["384MiB"]
highest = 65536
"""

pytestmark = pytest.mark.once


def ftbench(*arguments: str | Path) -> tuple[int, str, str]:
    """Runs the command line with the folder of further backends."""
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "200",
        "PYTHONPATH": str(ROOT),
        "FTBENCH_BACKENDS": str(FOLDER),
    }
    return finish(start("-m", "benchmarks.harness.cli", *arguments, env=environment))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Measurement]]:
    """A run of every question: its folder, and the measurements by job."""
    results = tmp_path_factory.mktemp("results")
    profile = results / "profile.toml"
    profile.write_text(PROFILE)
    code, output, errors = ftbench("run", "--profile", profile, "--results", results)
    assert code == 0, output + errors
    folder = latest_run(results)
    assert folder is not None
    return folder, measured(results)


def test_its_speed_memory_and_accuracy_are_measured(
    run: tuple[Path, dict[str, Measurement]],
) -> None:
    folder, measurements = run
    assert all(m.status == "ok" for m in measurements.values())
    questions = {m.job.question for m in measurements.values() if m.job.backend == "logistic"}
    assert questions == {"equivalence", "throughput", "memory", "accuracy", "batch_limit"}
    for m in measurements.values():
        if m.job.question == "accuracy":
            assert m.accuracy is not None and m.accuracy.steps == 40
    assert "Logistic twin" in (folder / "report.md").read_text("utf-8")


def test_it_is_certified_against_its_twin(run: tuple[Path, dict[str, Measurement]]) -> None:
    certificates, damaged = read_certificates(run[0])
    (certificate,) = certificates
    assert certificate.holds and not damaged
    assert [certificate.first.backend, certificate.second.backend] == BACKENDS


def test_its_batch_limit_is_found_without_a_prediction(
    run: tuple[Path, dict[str, Measurement]],
) -> None:
    found = [m.batch_limit for m in run[1].values() if m.job.question == "batch_limit"]
    for limit in found:
        assert limit is not None and limit.limit is not None and limit.fails_at is not None
        assert 1 < limit.limit < limit.fails_at
        failed = {p.outcome for p in limit.probes if p.batch_size == limit.fails_at}
        assert failed <= {"oom", "disguised_oom"}
        reason = re.compile(r"Logistic( twin)? is not predicted: its folder has no step_trace\.py")
        assert any(reason.search(note) for note in limit.notes)


def test_it_is_not_predicted_and_the_reason_is_told(tmp_path: Path) -> None:
    code, _, errors = ftbench("predict", "--backend", "logistic", "--results", tmp_path)
    assert code == 2 and "Logistic is not predicted: its folder has no step_trace.py" in errors


def test_what_it_cannot_do_is_refused_with_the_reason(tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(PROFILE)
    options = ("--question", "memory", "--recipe", "optimizer=adafactor", "--results", tmp_path)
    code, output, _ = ftbench("run", "--profile", profile, *options)
    refused = measured(tmp_path).values()
    assert {m.status for m in refused} == {"unsupported"}
    assert all("logistic cannot do optimizer" in (m.reason or "") for m in refused)


def test_it_is_listed() -> None:
    code, output, _ = ftbench("list")
    assert code == 0 and "Logistic, Session.train(): installed" in output
