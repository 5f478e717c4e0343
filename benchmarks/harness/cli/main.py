"""The command line: `ftbench run`, `limit`, `report` and the others.

`parser.EXIT_CODES` lists the exit codes. Only the parsing is imported at the start, so that `--help`
answers at once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import traceback
from pathlib import Path

from benchmarks.harness.cli.certify import certify
from benchmarks.harness.cli.compare import compare
from benchmarks.harness.cli.contribute import contribute
from benchmarks.harness.cli.export import export
from benchmarks.harness.cli.limit import limit
from benchmarks.harness.cli.options import RESULTS
from benchmarks.harness.cli.parser import make_parser
from benchmarks.harness.cli.report import render, report
from benchmarks.harness.cli.run import Crashed, Stopped, run
from benchmarks.harness.cli.terminal.streams import protect_streams
from benchmarks.harness.cli.tune import tune
from benchmarks.harness.errors import UserError, check_decoded, printable
from benchmarks.harness.machine.paths import output_folder, user_path

UNEXPECTED = 3  # exit code
# Arguments without a flag, as the help calls them.
POSITIONAL = {"runs": "RUN", "run": "RUN", "traces": "TRACE", "before": "BEFORE", "after": "AFTER"}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    protect_streams()
    options = make_parser().parse_args(arguments)
    try:
        check_input(options, arguments)
        return COMMANDS[options.command](options, ["ftbench", *arguments])
    except UserError as error:
        print(f"ftbench: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"ftbench: stopped; to continue: {resume_command(options, stopped)}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("ftbench: stopped", file=sys.stderr)
        return 130
    except Crashed as crashed:
        details = write_details(crashed.__cause__ or crashed, crashed.folder)
        print(
            f"ftbench: {unexpected(crashed.__cause__ or crashed)} (details: {details}); finished "
            f"measurements are kept; to continue: {resume_command(options, crashed.folder.name)}",
            file=sys.stderr,
        )
        return UNEXPECTED
    except Exception as error:  # noqa: BLE001 - nothing reaches the user as a traceback
        details = write_details(error, Path(options_results(options)))
        print(f"ftbench: {unexpected(error)} (details: {details})", file=sys.stderr)
        return UNEXPECTED


def check_input(options: argparse.Namespace, arguments: list[str]) -> None:
    """Checks what no command can use, and expands '~' in the folders for output.

    Errors: UserError for values that are empty, undecodable or impossible."""
    check_decoded(arguments)
    for name, value in vars(options).items():
        if value == "" or (isinstance(value, list) and "" in value):
            flag = POSITIONAL.get(name, f"--{name.replace('_', '-')}")
            raise UserError(f"{flag} is empty: give a value, or leave it out")
    for folder in filter(None, os.environ.get("FTBENCH_BACKENDS", "").split(os.pathsep)):
        if not user_path(folder).is_dir():
            raise UserError(f"FTBENCH_BACKENDS: {folder!r} is not a folder: correct or unset it")
    for name in ("results", "out"):
        if getattr(options, name, None):
            setattr(options, name, str(output_folder(f"--{name}", getattr(options, name))))


def resume_command(options: argparse.Namespace, run: object) -> str:
    command = "tune" if options.command == "tune" else "run"
    results = str(getattr(options, "results", None) or RESULTS["default"])
    where = "" if results == RESULTS["default"] else f" --results {shlex.quote(results)}"
    return f"ftbench {command} --resume {run}{where}"


def options_results(options: argparse.Namespace) -> str:
    return str(getattr(options, "results", None) or ".")


def unexpected(error: BaseException) -> str:
    """An unexpected error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return f"unexpected error: {printable(text)[:200]}"


def write_details(error: BaseException, folder: Path) -> Path | str:
    """Writes the traceback into the folder, or a temporary one; the file, or why there is none."""
    text = "".join(traceback.format_exception(error))
    for place in (folder, Path(tempfile.gettempdir())):
        file = place / f"ftbench-error-{os.getpid()}.txt"
        try:
            if place.is_dir():
                file.write_text(text, encoding="utf-8", errors="backslashreplace")
                return file
        except OSError:
            continue
    return "they could not be written to a file"


def predict(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.cli import predict as predict_command

    if options.check:
        print(f"cases: {predict_command.check(options)}")
        return 0
    folder = predict_command.predict(options, command)
    paths = render([folder])
    print(f"report: {paths.html}", file=sys.stderr if options.json else sys.stdout)
    return 0


def show_list(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.cli.list import listing

    print(listing())
    return 0


COMMANDS = {
    "run": run,
    "limit": limit,
    "certify": certify,
    "predict": predict,
    "tune": tune,
    "list": show_list,
    "report": report,
    "compare": compare,
    "export": export,
    "contribute": contribute,
}


if __name__ == "__main__":
    sys.exit(main())
