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
from benchmarks.harness.cli.report import skipped
from benchmarks.harness.cli.run import Crashed
from tests.results.samples import measurement

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


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a refused command, in this process."""
    try:
        code = command_line.main([*arguments])
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    output, errors = capsys.readouterr()
    lines = [line for line in output.splitlines() if not line.startswith(("reading", "note"))]
    assert lines == [] and len(errors.splitlines()) == 1 and errors.strip().isprintable()
    return errors


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--checkpoint", ""], "--checkpoint is empty"),
        (["--task", ""], "--task is empty"),
        (["--evaluation-dataset", ""], "--evaluation-dataset is empty"),
        (["--profile", ""], "--profile is empty"),
        (["--resume", ""], "--resume is empty: give a value"),
        (["--profile", "a\0b.toml"], "embedded null byte"),
        (["--profile", "~nobody-here/x.toml"], "there is no home folder for it"),
        (["--profile", "n" * 300 + ".toml"], "File name too long"),
        (["--profile", "."], "unknown profile '.'"),
        (["--profile", "./"], "Is a directory"),
        (["--profile", "caf\udce9.toml"], "has bytes that are not utf-8: rename the file"),
        (["--results", "x\0y"], "--results 'x\\x00y' cannot be a folder"),
        (["--results", "r" * 300], "cannot be a folder (File name too long)"),
        (["--results", "~nobody-here/r"], "there is no home folder for it"),
        (["--recipe", "learning_rate=inf"], "learning_rate = inf: must be a finite number"),
        (["--recipe", "weight_decay=nan"], "weight_decay = nan: must be a finite number"),
        (["--recipe", "batch_size=9" + "9" * 12], "must be less than 2147483648"),
        (["--recipe", "compile=True"], "compile = 'True': must be true or false"),
        (["--recipe", "schedule='linear'\nlength=8"], "schedule = "),
        (["--checkpoint", "a\0b"], "unknown checkpoint 'a\\x00b'"),
        (["--checkpoint", "\x1b[31m"], "unknown checkpoint '\\x1b[31m'"),
        (["--recipe", "=8"], "--recipe '=8': write FIELD=VALUE"),
        (["--recipe", "batch_size=x"], "batch_size = 'x': must be a whole number"),
        (["--until-minutes", "3"], "--until-minutes 3 needs --until decided"),
        (["--\x1b[31m"], "unrecognized arguments: --\\x1b[31m"),
    ],
)
def test_values_that_cannot_be_meant_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    assert part in refused(capsys, "run", *arguments)


@pytest.mark.parametrize(
    "command", [("run", "--backend", "hf_torch", "--data", "dir:missing"), ("predict",)]
)
def test_results_that_cannot_be_written_are_said_before_the_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "results"
    said = refused(capsys, *command, "--results", str(root))
    assert f"--results {root}: {tmp_path / 'file'} is not a folder" in said


def test_a_folder_of_backends_that_is_missing_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTBENCH_BACKENDS", "/nowhere")
    assert "FTBENCH_BACKENDS: '/nowhere' is not a folder" in refused(capsys, "list")


@pytest.mark.parametrize("name", ["", "r" * 300, "nowhere"])
def test_a_report_of_no_run_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    line = refused(capsys, "report", name, "--results", str(tmp_path))
    assert "is empty" in line or "not a run's folder" in line


@pytest.mark.parametrize("command", [["report"], ["export"], ["compare", "torn"], ["contribute"]])
def test_a_run_of_which_nothing_can_be_read_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    folder = tmp_path / "runs" / "torn"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    line = refused(capsys, *command, "torn", "--results", str(tmp_path))
    assert "run.json: damaged, not JSON" in line and "copy the run again" in line
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    line = refused(capsys, "run", "--resume", str(folder), "--results", str(tmp_path))
    assert "there are no runs" in line


def test_every_command_has_a_help_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    helps = {}
    for command in command_line.COMMANDS:
        with pytest.raises(SystemExit):
            make_parser().parse_args([command, "--help"])
        helps[command] = capsys.readouterr().out
        assert "%%" not in helps[command]
    for command, option in (("limit", "--until"), ("certify", "--metric"), ("tune", "--budget")):
        assert option not in helps[command] and option in helps["run"]


def test_what_was_skipped_is_printed_once_for_each_reason() -> None:
    missing = measurement("hf_tf", "imdb", "memory", status="not_installed", reason="no tensorflow")
    more = measurement("hf_tf", "mnli", "memory", status="not_installed", reason="no tensorflow")
    fine = measurement("hf_torch", "mnli", "memory")
    assert skipped([missing, more, fine]) == ["hf_tf skipped: no tensorflow"]


@pytest.mark.parametrize("plan", [b"\xff", b"{}", b"["])
def test_a_plan_that_cannot_be_read_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, plan: bytes
) -> None:
    run = tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    (run / "plan.json").write_bytes(plan)
    (run / "run.json").write_text("{}")
    line = refused(capsys, "run", "--resume", "r", "--results", str(tmp_path))
    assert "plan.json cannot be read" in line and "start a new run" in line


def test_a_hub_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    def fail(*arguments: object, **settings: object) -> str:
        raise ImportError("socksio is not installed\nsecond line\x1b[2J")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@127.0.0.1:9")
    line = refused(capsys, "run", "--checkpoint", "bert-base", "--results", str(tmp_path))
    assert "socksio is not installed (proxy settings: ALL_PROXY=socks5://…@127.0.0.1:9)" in line
    assert not list(tmp_path.iterdir())


def test_the_command_that_continues_names_the_results_folder() -> None:
    options = argparse.Namespace(command="run", results="my runs")
    assert command_line.resume_command(options, "x") == "ftbench run --resume x --results 'my runs'"
    options = argparse.Namespace(command="tune", results="results")
    assert command_line.resume_command(options, "x") == "ftbench tune --resume x"


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
    code = "from benchmarks.harness.cli.terminal.streams import protect_streams; protect_streams(); print('é')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout) == (0, b"\\xe9\n")
