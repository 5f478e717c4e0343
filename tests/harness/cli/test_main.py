"""How the command line ends: exit codes, unexpected errors, and output that goes away."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness.cli import main as command_line
from benchmarks.harness.cli.parser import make_parser
from benchmarks.harness.cli.run import Crashed

ROOT = Path(__file__).parents[3]
LIST = (sys.executable, "-m", "benchmarks.harness.cli", "list")


def broken(options: argparse.Namespace, command: list[str]) -> int:
    raise KeyError("two\nlines\x1b[31m")


def crashed(folder: Path) -> object:
    def run(options: argparse.Namespace, command: list[str]) -> int:
        try:
            broken(options, command)
        except KeyError as error:
            raise Crashed(folder) from error
        return 0

    return run


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    output, errors = capsys.readouterr()
    assert output == "" and len(errors.splitlines()) == 1 and errors.strip().isprintable()
    return errors


def test_an_unexpected_error_is_one_line_with_its_details_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(command_line.COMMANDS, "run", broken)
    assert command_line.main(["run", "--results", str(tmp_path)]) == 3
    (file,) = tmp_path.iterdir()
    line = one_line(capsys)
    assert line.startswith("ftbench: unexpected error: KeyError") and str(file) in line
    assert "Traceback" in file.read_text() and "in broken" in file.read_text()


def test_a_run_that_crashes_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs" / "a-run"
    folder.mkdir(parents=True)
    monkeypatch.setitem(command_line.COMMANDS, "run", crashed(folder))
    assert command_line.main(["run"]) == 3
    line = one_line(capsys)
    assert "measurements are kept; to continue: ftbench run --resume a-run" in line
    (file,) = folder.iterdir()
    assert "in broken" in file.read_text()


def test_a_folder_that_cannot_be_written_loses_no_details(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command_line.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setitem(command_line.COMMANDS, "run", broken)
    assert command_line.main(["run", "--results", "/proc/nowhere"]) == 3
    (file,) = tmp_path.iterdir()
    assert str(file) in one_line(capsys)


def test_help_lists_every_exit_code() -> None:
    text = make_parser().format_help()
    for code in ("0", "1", "2", "3", "130"):
        assert any(line.split()[:1] == [code] for line in text.splitlines())


@pytest.mark.once
@pytest.mark.parametrize(
    "shell", ["{} | true", "{} | head -1", "{} >&-", "{} 2>&-", "{} >/dev/full"]
)
def test_output_that_goes_away_is_no_error(shell: str) -> None:
    command = " ".join(LIST)
    done = subprocess.run(
        ["bash", "-c", f"{shell.format(command)}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert ("cannot write the output" in done.stderr) == ("full" in shell)


@pytest.mark.once
def test_a_locale_without_the_characters_shows_escapes() -> None:
    code = (
        "from benchmarks.harness.cli.streams import protect_streams; protect_streams(); print('é')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout) == (0, b"\\xe9\n")
