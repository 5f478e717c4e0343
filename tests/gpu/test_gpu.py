"""Real workers on a real GPU. Without one every test is skipped, with the reason."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks.harness.machine import nvml
from benchmarks.harness.machine.device import describe, unsupported_precision
from results.store import latest_run, read_certificates
from tests.benchmarks.conftest import ROOT, finish, here, measured, start, write_profile


def without_gpu() -> bool:
    try:
        return not nvml.gpu_present()
    except nvml.NvmlFailed:
        return True


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        without_gpu(), reason="NO NVIDIA GPU IS VISIBLE: nothing of a GPU was tested"
    ),
]
BACKENDS = ("hf_torch", "hf_tf", "keras_rnn")
ENVIRONMENT = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
LIMITS = """
description = "limits, for tests"
checkpoint = "random:minilm"
data = "embedded"
backends = {backends}
questions = ["batch_limit"]
job_seconds = 900
[recipe]
length = 128
[tasks.imdb]
train_examples = 64
evaluation_examples = 32
[batch_limit]
budgets = ["2GiB"]
highest = 1024
"""


def ftbench(*arguments: str | Path) -> tuple[int, str, str]:
    return finish(start("-m", "benchmarks.harness.cli", *arguments, env=ENVIRONMENT), 1800)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_a_certificate_in_every_precision(precision: str, tmp_path: Path) -> None:
    if why := unsupported_precision(describe(), precision):  # type: ignore[arg-type]
        pytest.skip(why)
    profile = write_profile(tmp_path, here(*BACKENDS), ("equivalence",))
    with profile.open("a") as file:
        file.write(
            f'[equivalence]\nsteps = 20\naccumulations = [1]\nprecisions = ["fp32", "{precision}"]\n'
        )
    code, _, errors = ftbench("run", "--profile", profile, "--results", tmp_path, "--device", "gpu")
    assert code == 0, errors
    run = latest_run(tmp_path)
    assert run is not None
    traces = measured(tmp_path)
    for m in traces.values():
        assert m.status == "ok", m.reason
        assert m.effective is not None and str(m.effective["device"]).startswith("gpu")
        assert m.effective["precision"] == m.recipe["precision"]
    certificates, damaged = read_certificates(run)
    assert not damaged
    assert all(certificate.holds for certificate in certificates), certificates


def test_nvml_and_the_frameworks_counters_agree(tmp_path: Path) -> None:
    profile = write_profile(
        tmp_path, here(*BACKENDS), ("memory", "throughput"), steps_per_window=20
    )
    code, _, errors = ftbench("run", "--profile", profile, "--results", tmp_path, "--device", "gpu")
    assert code == 0, errors
    for m in measured(tmp_path).values():
        assert m.status == "ok", m.reason
        if m.memory is None or m.memory.peak_device_bytes is None:
            continue
        allocated = m.memory.peak_allocated_bytes
        assert allocated is not None and allocated <= m.memory.peak_device_bytes
        assert allocated <= (m.memory.peak_reserved_bytes or allocated)


def test_a_limit_is_proven_and_lies_where_it_was_predicted(tmp_path: Path) -> None:
    profile = tmp_path / "limits.toml"
    profile.write_text(LIMITS.format(backends=here(*BACKENDS)))
    code, _, errors = ftbench(
        "limit", "--profile", profile, "--results", tmp_path, "--device", "gpu"
    )
    assert code == 0, errors
    for m in measured(tmp_path).values():
        found = m.batch_limit
        assert m.status == "ok" and found is not None and found.limit, m.reason
        assert found.enforced_by == "the framework's own limit"
        if found.expected is not None:
            assert abs(found.limit - found.expected.limit) <= 0.15 * found.limit


def test_a_run_that_is_stopped_is_resumed_and_leaves_nothing_on_the_gpu(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, here("hf_torch"), ("memory", "throughput"))
    command = ("-m", "benchmarks.harness.cli", "run", "--profile", profile, "--results", tmp_path)
    process = start(*command, "--device", "gpu", env=ENVIRONMENT)
    deadline = time.monotonic() + 300
    while latest_run(tmp_path) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(10)  # into the first job
    process.send_signal(signal.SIGINT)
    code, _, _ = finish(process)
    assert code == 130
    deadline = time.monotonic() + 10
    while nvml.compute_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not nvml.compute_processes()
    code, _, errors = ftbench("run", "--resume", "last", "--results", tmp_path)
    assert code == 0, errors
    assert {m.status for m in measured(tmp_path).values()} == {"ok"}


def test_the_first_half_hour_begins_well() -> None:
    arguments = ("-m", "benchmarks.studies.first_gpu", "--without-run")
    code, output, errors = finish(start(*arguments, env=ENVIRONMENT))
    assert code == 0, output + errors
