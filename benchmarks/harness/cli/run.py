"""ftbench run: plans, runs and resumes."""

from __future__ import annotations

import argparse
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from benchmarks.harness.cli.report import print_summary

if TYPE_CHECKING:
    from benchmarks.harness.plan.plan import Plan
    from benchmarks.harness.run.folder import RunFolder
    from results.schema import Question


class Stopped(KeyboardInterrupt):
    """The run with this name was stopped and can be resumed."""


class Crashed(Exception):
    """An unexpected error, its cause, ended the run in this folder. It can be resumed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder


def run(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.run.folder import RunFolder

    if options.resume:
        folder = resumed_folder(options)
    else:
        folder = RunFolder.new(Path(options.results), planned(options, command))
    execute(folder)
    return print_summary(folder)


def resumed_folder(options: argparse.Namespace) -> RunFolder:
    """The run that `--resume` names.

    Errors: UserError for options that would change it, and for a tuning that is resumed with
    `ftbench run`, or the other way round."""
    from benchmarks.harness.cli.choices import changed_options
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.folder import RunFolder

    extra = [flag for flag in changed_options(vars(options)) if flag != "--results"]
    if extra:
        raise UserError(
            f"{', '.join(extra)}: a resumed run keeps its own options: leave out all but "
            "--resume and --results"
        )
    folder = RunFolder.resume(Path(options.results), options.resume)
    made_by = "tune" if folder.plan.tunes else "run"
    if made_by != options.command:
        name = folder.path.name
        raise UserError(
            f"--resume {name}: `ftbench {made_by}` started this run: use "
            f"`ftbench {made_by} --resume {name}`"
        )
    return folder


def planned(
    options: argparse.Namespace, command: list[str], question: Question | None = None
) -> Plan:
    """The plan that the options describe; with `question`, for that question alone."""
    from benchmarks.harness.cli.choices import plan_from_options

    return plan_from_options(vars(options).__getitem__, command, question)


def execute(folder: RunFolder) -> None:
    """Runs all pending jobs of a run, with a progress display."""
    from benchmarks.harness.cli.terminal.progress import Display
    from benchmarks.harness.run.run import Run
    from results.analysis.decision import race_is_decided

    handle_signals()
    pending = folder.pending()
    with Display(len(pending)) as display:
        run = Run(folder, display.say, display.watch, race_is_decided)
        prepared = run.prepare(pending)
        folder.create()
        with resumable(folder), contextlib.closing(run):
            run.execute(prepared, display.begin)


@contextlib.contextmanager
def resumable(folder: RunFolder) -> Iterator[None]:
    """Errors: Stopped for a Ctrl-C, and Crashed for an unexpected error."""
    from benchmarks.harness.errors import UserError

    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(folder.path.name) from None
    except UserError:
        raise
    except Exception as error:
        raise Crashed(folder.path) from error


def handle_signals() -> None:
    """SIGTERM stops a run as Ctrl-C does. It continues when its terminal is closed."""

    def interrupt(number: int, frame: Any) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
