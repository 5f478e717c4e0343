"""Bad input ends with one clear line, exit code 2 and nothing half-written."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.conftest import finish, ftbench, refused, start

Profile = Callable[..., Path]

pytestmark = pytest.mark.once


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line of a refused `ftbench run`."""

    def line(*arguments: str | Path) -> str:
        said = refused(capsys, "run", "--results", tmp_path, *arguments)
        assert not (tmp_path / "runs").exists()
        return said

    return line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--profile", "quik"], ["unknown profile 'quik'", "quick"]),
        (["--backend", "hf_troch"], ["unknown backend 'hf_troch'", "hf_torch"]),
        (["--task", "imbd"], ["unknown task 'imbd'", "imdb"]),
        (["--question", "speed"], ["unknown question 'speed'", "throughput"]),
        (["--data", "dir:nowhere"], ["nowhere"]),
        (["--data", "dri:x"], ["dri:x", "embedded"]),
        (["--checkpoint", "random:bret"], ["random:bret"]),
        (["--checkpoint", "benchmarks"], ["benchmarks", "config.json"]),
        (["--recipe", "batch_size=0"], ["batch_size = 0"]),
        (["--recipe", "batchsize=8"], ["batchsize", "batch_size"]),
        (["--checkpoint", "random:tiny-bert", "--recipe", "length=100000"], ["100000"]),
        (["--checkpoint", "random:tiny-bert", "--recipe", "precision=tf32"], ["tf32"]),
        (["--device", "gpu"], ["--device gpu", "--device cpu"]),
        (["--dataset", "x.csv"], ["--text-column"]),
        (["--text-column", "x"], ["--dataset"]),
        (["--resume", "nothing"], ["no run"]),
        (["--wrong"], ["--wrong", "--help"]),
    ],
)
def test_each_mistake_is_one_line(
    run: Callable[..., str], arguments: list[str], parts: list[str]
) -> None:
    line = run(*arguments)
    for part in parts:
        assert part in line


def test_an_empty_data_folder(tmp_path: Path, run: Callable[..., str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in run("--data", f"dir:{tmp_path / 'empty'}")


@pytest.mark.parametrize(
    ("content", "columns", "parts"),
    [
        ("text,label\na,0\nb,1\n", ("txt", "label"), ["txt", "text, label"]),
        ("text,label\na,0\nb,0\n", ("text", "label"), ["one"]),
        ("text,label\n", ("text", "label"), []),
    ],
)
def test_a_wrong_file_of_ones_own(
    tmp_path: Path,
    run: Callable[..., str],
    content: str,
    columns: tuple[str, str],
    parts: list[str],
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(content)
    line = run(
        "--dataset",
        file,
        "--text-column",
        columns[0],
        "--label-column",
        columns[1],
        "--checkpoint",
        "random:tiny-bert",
    )
    for part in ["mine", *parts]:
        assert part in line


@pytest.mark.skipif(os.geteuid() != 0 and not os.access("/proc", os.R_OK), reason="needs /proc")
def test_a_results_folder_that_cannot_be_written(logistic: str, profile: Profile) -> None:
    file = profile([logistic])
    code, _, errors = ftbench("run", "--profile", file, "--results", "/proc/ftbench")
    assert code == 2
    (line,) = errors.strip().splitlines()
    assert "/proc/ftbench" in line and "--results" in line


def test_a_full_disk(tmp_path: Path, logistic: str, profile: Profile) -> None:
    """A limit on the size of a written file ends a write as a full disk does: part-way."""
    file = profile([logistic], questions=("memory",))
    ftbench("run", "--profile", file, "--results", tmp_path / "warm")  # fills the caches
    process = start(
        "-m",
        "benchmarks.harness.cli",
        "run",
        "--profile",
        file,
        "--results",
        tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)),
    )
    code, _, errors = finish(process)
    assert code == 2, errors
    assert "cannot write" in errors and "Traceback" not in errors
    assert not list(tmp_path.glob("runs/*/memory-*.json"))


def test_pytest_says_the_same(tmp_path: Path) -> None:
    code, output, errors = finish(
        start(
            "-m",
            "pytest",
            "benchmarks",
            "--benchmark-only",
            "--profile",
            "quik",
            "-p",
            "no:cacheprovider",
            "--results",
            tmp_path,
        )
    )
    assert code == 2
    assert "unknown profile 'quik': did you mean quick" in output + errors
    assert "Traceback" not in output + errors
    assert not (tmp_path / "runs").exists()
