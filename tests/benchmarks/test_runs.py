"""`ftbench run` end to end, and everything that can end a worker or a run early."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from results.store import latest_run
from tests.benchmarks.conftest import finish, ftbench, here, measured, start

Profile = Callable[..., Path]
ENDLESS = 1_000_000  # steps: such a job ends only from outside


def wait_for_worker(process: subprocess.Popen[str], text: str = "") -> psutil.Process:
    """The worker whose job file's name holds `text`, once its imports are behind it."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.Error):  # it may end while it is looked at
                command = " ".join(child.cmdline())
                if "harness.worker" in command and text in command and child.cpu_times().user > 1:
                    return child
        time.sleep(0.05)
    raise AssertionError("no worker was started")


def worker_is_running(run: Path) -> bool:
    for process in psutil.process_iter(["cmdline"]):
        if any(str(run) in part for part in process.info["cmdline"] or []):
            return True
    return False


@pytest.mark.smoke
def test_a_run_measures_reports_and_says_so(tmp_path: Path, profile: Profile) -> None:
    backends = here("hf_torch", "hf_tf", "keras_rnn")
    code, output, errors = ftbench(
        "run", "--profile", profile(["hf_torch", "hf_tf", "keras_rnn"]), "--results", tmp_path
    )
    assert code == 0, output + errors
    found = measured(tmp_path)
    assert len(found) == 6
    for backend in backends:
        speed = found[f"throughput-imdb-{backend}"]
        assert speed.status == "ok", speed
        assert speed.throughput is not None and speed.effective is not None
        assert [w.steps for w in speed.throughput.windows] == [2] * 4
        assert [w.round for w in speed.throughput.windows] == [0, 0, 1, 1]
        assert all(w.examples == 8 for w in speed.throughput.windows)
        assert all(0 < w.worker_seconds <= w.seconds for w in speed.throughput.windows)
        assert speed.effective["precision"] == "fp32"
        memory = found[f"memory-imdb-{backend}"].memory
        assert memory is not None and memory.peak_process_bytes is not None
        assert memory.peak_process_bytes > 0
    for backend in {"hf_torch", "hf_tf", "keras_rnn"} - set(backends):
        assert found[f"memory-imdb-{backend}"].status == "not_installed"
        assert "pip install" in (found[f"memory-imdb-{backend}"].reason or "")
    run = latest_run(tmp_path)
    assert run is not None and (run / "report.html").is_file() and (run / "report.md").is_file()
    assert str(run / "report.html") in output
    assert "\x1b" not in output  # plain lines where the output is no terminal


@pytest.mark.once
def test_a_killed_worker_is_an_outcome_and_the_others_go_on(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    file = profile([logistic], memory_steps=ENDLESS, questions=("memory", "throughput"))
    process = start("-m", "benchmarks.harness.cli", "run", "--profile", file, "--results", tmp_path)
    wait_for_worker(process, "memory").kill()
    code, output, errors = finish(process)
    assert code == 1
    found = measured(tmp_path)
    assert found["memory-imdb-logistic"].status == "killed"
    assert "SIGKILL" in (found["memory-imdb-logistic"].reason or "")
    assert found["throughput-imdb-logistic"].status == "ok"
    assert "memory-imdb-logistic: killed" in errors


@pytest.mark.once
def test_a_worker_past_its_time_limit_is_ended(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    file = profile([logistic], questions=("memory",), memory_steps=ENDLESS, job_seconds=4)
    code, _, errors = ftbench("run", "--profile", file, "--results", tmp_path)
    assert code == 1
    outcome = measured(tmp_path)["memory-imdb-logistic"]
    assert outcome.status == "timeout" and "job_seconds" in (outcome.reason or "")
    assert not worker_is_running(tmp_path)


@pytest.mark.once
def test_a_worker_without_memory_fails_with_its_last_lines(
    tmp_path: Path, profile: Profile
) -> None:
    """A tensor that is refused says so; a library that is refused while it is loaded may not."""
    file = profile(here("hf_torch"), questions=("memory",))
    large = ("batch_size=64", "length=512", 'padding="max"', 'attention="eager"')
    limit = 2 * 2**30  # enough for the framework, too little for these
    process = start(
        "-m",
        "benchmarks.harness.cli",
        "run",
        "--profile",
        file,
        "--results",
        tmp_path,
        *(word for setting in large for word in ("--recipe", setting)),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    code, _, errors = finish(process)
    assert code == 1, errors
    outcome = measured(tmp_path)["memory-imdb-hf_torch"]
    assert outcome.status == "failed" and "memory" in (outcome.reason or "")
    assert outcome.stderr_tail


@pytest.mark.once
def test_an_interrupted_run_leaves_no_orphan_and_is_completed_by_resume(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    file = profile([logistic], memory_steps=ENDLESS)
    # A shell's background job, as these tests may be, has its Ctrl-C ignored, and so its children.
    process = start(
        "-m",
        "benchmarks.harness.cli",
        "run",
        "--profile",
        file,
        "--results",
        tmp_path,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    worker = wait_for_worker(process, "memory")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C does
    code, _, errors = finish(process)
    assert code == 130 and "--resume" in errors
    assert not psutil.pid_exists(worker.pid)
    found = measured(tmp_path)
    assert found["memory-imdb-logistic"].status == "interrupted"
    assert found["throughput-imdb-logistic"].status == "ok"

    folder = latest_run(tmp_path)
    assert folder is not None
    plan = json.loads((folder / "plan.json").read_text())
    for job in plan["jobs"]:
        if job["key"]["question"] == "memory":
            job["recipe"]["steps"] = 4  # the endless job would go on for ever
    plan["memory"]["steps"] = 3
    (folder / "plan.json").write_text(json.dumps(plan))
    before = (folder / "throughput-imdb-logistic.json").stat().st_mtime_ns
    code, output, errors = ftbench("run", "--resume", "last", "--results", tmp_path)
    assert code == 0, output + errors
    assert measured(tmp_path)["memory-imdb-logistic"].status == "ok"
    assert (folder / "throughput-imdb-logistic.json").stat().st_mtime_ns == before
    assert "[1/1]" in output


@pytest.mark.once
def test_a_killed_run_leaves_no_orphan(tmp_path: Path, logistic: str, profile: Profile) -> None:
    file = profile([logistic], questions=("memory",), memory_steps=ENDLESS)
    process = start("-m", "benchmarks.harness.cli", "run", "--profile", file, "--results", tmp_path)
    worker = wait_for_worker(process)
    process.kill()
    process.communicate()
    worker.wait(timeout=20)


@pytest.mark.once
def test_random_weights_have_no_accuracy(tmp_path: Path, profile: Profile) -> None:
    file = profile(here("hf_torch"), questions=("accuracy",))
    code, output, _ = ftbench("run", "--profile", file, "--results", tmp_path)
    assert code == 0
    (outcome,) = measured(tmp_path).values()
    assert outcome.status == "refused" and "random weights" in (outcome.reason or "")
