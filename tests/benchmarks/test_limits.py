"""`ftbench limit` end to end on tiny random models, under budgets that the kernel enforces."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.harness.cli.main import main
from benchmarks.harness.plan.batch_sizes import grid
from results.schema import BatchLimit, Measurement
from results.store import latest_run
from tests.benchmarks.conftest import finish, ftbench, here, measured, start

MIB = 2**20
PROFILE = """
description = "tiny, for tests"
checkpoint = "random:tiny-bert"
data = "embedded"
backends = {backends}
questions = ["batch_limit"]
job_seconds = 200
[recipe]
length = 512
[tasks.imdb]
train_examples = 4
evaluation_examples = 8
[batch_limit]
budgets = ["{budget}"]
highest = {highest}
compare_finders = {finders}
"""
Profile = Callable[..., Path]
CUT_SHORT = """
import os, sys
from pathlib import Path
from benchmarks.harness.cli.main import main
from benchmarks.harness.run.folder import RunFolder
create = RunFolder.create
def cut_short(folder):
    create(folder)
    for file in Path(os.environ["FTBENCH_CACHE"]).glob("tokenized/*.npz"):
        file.write_bytes(b"no examples")
RunFolder.create = cut_short
sys.exit(main({arguments!r}))
"""


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    def write(
        backends: list[str], budget: str = "6GiB", highest: int = 4, finders: bool = False
    ) -> Path:
        file = tmp_path / "limits.toml"
        file.write_text(
            PROFILE.format(
                backends=backends, budget=budget, highest=highest, finders=str(finders).lower()
            )
        )
        return file

    return write


def limits(results: Path) -> dict[str, BatchLimit]:
    found = {name: m.batch_limit for name, m in measured(results).items()}
    return {name: limit for name, limit in found.items() if limit is not None}


@pytest.mark.parametrize(
    ("backend", "budget"),
    [pytest.param("hf_torch", "2GiB", marks=pytest.mark.once), ("hf_tf", "1GiB")],
)
def test_a_limit_is_proven_under_a_real_budget(
    backend: str, budget: str, tmp_path: Path, profile: Profile
) -> None:
    """Above the 4 examples that the data set has. PyTorch raises an exception, TensorFlow may end
    the process. The budgets are so small that a limit lies among the single sizes below 64, which
    takes few probes; PyTorch itself fills more than 1 GiB. On two cores at most: TensorFlow has
    threads for every core, and on 64 their stacks alone fill 1 GiB."""
    (backend,) = here(backend)
    file = profile([backend], budget, highest=512)
    cores = sorted(os.sched_getaffinity(0))[:2]
    process = start(
        "-m",
        "benchmarks.harness.cli",
        "limit",
        "--profile",
        file,
        "--results",
        tmp_path,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    code, output, errors = finish(process)
    assert code == 0, output + errors
    (found,) = limits(tmp_path).values()
    assert found.limit is not None and found.fails_at is not None and found.limit > 4
    sizes = grid(512)
    assert sizes.index(found.fails_at) == sizes.index(found.limit) + 1
    outcomes = {(p.batch_size, p.outcome) for p in found.probes}
    assert (found.limit, "ok") in outcomes
    assert {o for b, o in outcomes if b == found.fails_at} <= {"oom", "disguised_oom"}
    assert all(p.steps == 3 and p.peak_bytes for p in found.probes if p.outcome == "ok")
    assert found.expected is not None and found.expected.source == "predicted"
    assert len(found.probes) <= 12  # 3 or 4, but for edges that move from process to process
    assert f"{found.limit} trains, {found.fails_at} fails" in output and "report:" in output


@pytest.mark.once
def test_other_finders_answer_on_the_same_work(tmp_path: Path, profile: Profile) -> None:
    """Where all that is tried fits; accelerate's begins at 128 whatever is asked."""
    here("hf_torch")
    file = profile(["hf_torch"], highest=4, finders=True)
    code, output, errors = ftbench(
        "limit", "--profile", file, "--results", tmp_path, "--recipe", "length=16"
    )
    assert code == 0, output + errors
    (found,) = limits(tmp_path).values()
    assert (found.limit, found.fails_at) == (4, None)
    accelerate, doubling = found.finders
    assert (accelerate.name, accelerate.answer, accelerate.probes) == ("accelerate", 128, 1)
    assert (doubling.name, doubling.answer, doubling.probes) == ("doubling", 4, 3)
    assert all(f.seconds > 0 and f.reason is None for f in found.finders)


@pytest.mark.once
def test_a_budget_below_the_model(tmp_path: Path, profile: Profile) -> None:
    """Asked from another folder than the repository, with a folder of results that lies in it."""
    (backend, *_) = here("hf_torch", "keras_rnn")
    code, output, errors = finish(
        start(
            "-m",
            "benchmarks.harness.cli",
            "limit",
            "--profile",
            profile([backend]),
            "--results",
            tmp_path.name,
            "--budget",
            "200MiB",
            cwd=tmp_path.parent,
        )
    )
    assert code == 0, output + errors
    (found,) = limits(tmp_path).values()
    assert (found.limit, found.fails_at) == (0, 1)
    assert [(p.batch_size, p.outcome) for p in found.probes] == [(1, "oom")]
    assert found.needed_bytes is not None and found.needed_bytes > 200 * MIB
    assert "does not fit at batch 1: needs about" in output


@pytest.mark.once
def test_an_ordinary_error_is_no_limit(
    tmp_path: Path, logistic: str, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training data are cut short on the disk: nothing to do with memory."""
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))
    arguments = ["limit", "--profile", str(profile([logistic])), "--results", str(tmp_path)]
    code, _, _ = finish(start("-c", CUT_SHORT.format(arguments=arguments)))
    assert code == 1
    (m,) = measured(tmp_path).values()
    assert m.status == "failed" and "at batch 4: UserError: tokenized data" in (m.reason or "")
    assert m.batch_limit is not None and m.batch_limit.limit is None
    assert [p.outcome for p in m.batch_limit.probes] == ["error"]
    assert m.stderr_tail


def wait_for_run(results: Path) -> Path:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if folder := latest_run(results):
            return folder
        time.sleep(0.01)
    raise AssertionError("no run was made")


def wait_for_probes(results: Path, count: int) -> Measurement:
    folder, until = wait_for_run(results), time.monotonic() + 120
    while time.monotonic() < until:
        for m in measured(results).values() if any(folder.glob("batch_limit*.json")) else ():
            if m.batch_limit is not None and len(m.batch_limit.probes) >= count:
                return m
        time.sleep(0.02)
    raise AssertionError(f"there were not {count} probes")


@pytest.mark.once
def test_a_killed_search_is_resumed_from_its_probes(
    tmp_path: Path, logistic: str, profile: Profile
) -> None:
    """Under the default budget, all that is free: by then it is another figure."""
    process = start(
        "-m",
        "benchmarks.harness.cli",
        "limit",
        "--profile",
        profile([logistic], "device", highest=64),
        "--results",
        tmp_path,
    )
    kept = wait_for_probes(tmp_path, 1)
    assert kept.status == "interrupted"
    children = psutil.Process(process.pid).children()
    process.kill()
    finish(process)
    for child in children:
        child.wait(timeout=20)
    (m,) = measured(tmp_path).values()
    assert m.status == "interrupted" and m.batch_limit is not None
    before = m.batch_limit.probes
    code, output, errors = ftbench("run", "--resume", "last", "--results", tmp_path)
    assert code == 0, output + errors
    (m,) = measured(tmp_path).values()
    assert m.status == "ok" and m.batch_limit is not None and m.batch_limit.limit == 64
    assert m.batch_limit.probes[: len(before)] == before
    sizes = [p.batch_size for p in m.batch_limit.probes]
    assert len(sizes) == len(set(sizes))


@pytest.mark.once
def test_the_pytest_way(tmp_path: Path, logistic: str, profile: Profile) -> None:
    backend = logistic
    process = start(
        "-m",
        "pytest",
        "benchmarks",
        "--benchmark-only",
        "--profile",
        profile([backend]),
        "--results",
        tmp_path,
        "-p",
        "no:cacheprovider",
        "--phase",
        "evaluation",
        "--benchmark-json",
        tmp_path / "table.json",
    )
    code, output, errors = finish(process)
    assert code == 0, output
    ((name, found),) = limits(tmp_path).items()
    assert name == f"batch_limit-imdb-{backend}-budget_6GiB-evaluation"
    assert (found.phase, found.limit, found.fails_at) == ("evaluation", 4, None)
    (row,) = json.loads((tmp_path / "table.json").read_text())["benchmarks"]
    assert row["extra_info"]["limit"] == 4 and row["stats"]["rounds"] == 1


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("limit", "--budget", "six"), "--budget 'six': use a size such as 6GiB"),
        (("limit", "--budget", "T4"), "name a GPU type with --gpu"),
        (("limit", "--budget", "9TiB"), "choose a smaller one"),
        (("limit", "--gpu", "T5"), "unknown GPU type 'T5'"),
        (("limit", "--gpu", "T4", "--device", "cpu"), "ftbench predict"),
        (("limit", "--recipe", "batch_size=8"), "a batch limit searches for the batch size"),
        (("limit", "--question", "memory"), "--question: `ftbench limit` only answers batch_limit"),
        (("run", "--budget", "6GiB"), "apply to the question batch_limit only"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # --device cpu sets it in this process
    here("hf_torch", "keras_rnn")
    code = main([*arguments, "--checkpoint", "random:tiny-bert", "--results", str(tmp_path)])
    errors = capsys.readouterr().err
    assert code == 2 and message in errors and len(errors.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
