"""ftbench run: plans, runs and resumes."""

from __future__ import annotations

import argparse
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from benchmarks.harness.cli.report import summary

if TYPE_CHECKING:
    from benchmarks.harness.plan.plan import Plan
    from benchmarks.harness.run.run import Run
    from results.schema import Question


class Stopped(KeyboardInterrupt):
    """A run was stopped that can go on; its name."""


def run(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.run.run import Run

    the_run = (
        stopped_run(options)
        if options.resume
        else Run.new(Path(options.results), planned(options, command))
    )
    execute(the_run)
    return summary(the_run)


def stopped_run(options: argparse.Namespace) -> Run:
    """The run that goes on. Errors: UserError for options that would change it, and for a tuning
    that is resumed as a run, or the other way round."""
    from benchmarks.harness.cli.options import given
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.run import Run

    extra = [flag for flag in given(vars(options)) if flag != "--results"]
    if extra:
        raise UserError(f"{', '.join(extra)} cannot change a run that goes on: leave them out")
    the_run = Run.resume(Path(options.results), options.resume)
    made_by = "tune" if the_run.plan.command.startswith("ftbench tune ") else "run"
    if made_by != options.command:
        raise UserError(
            f"{the_run.folder.name} was made by another command: "
            f"`ftbench {made_by} --resume {the_run.folder.name}` goes on with it"
        )
    return the_run


def planned(
    options: argparse.Namespace, command: list[str], question: Question | None = None
) -> Plan:
    """The plan that the parsed options make."""
    from benchmarks.harness.cli.options import planned

    return planned(vars(options).__getitem__, command, question)


def execute(the_run: Run) -> None:
    """All that is still to do in a run, with a progress display."""
    from benchmarks.harness.cli.progress import Display

    signal.signal(signal.SIGTERM, _as_interrupt)
    pending = the_run.pending()
    with Display(len(pending)) as display:
        the_run.prepare(pending, display.say)
        the_run.create()
        with goes_on(the_run):
            the_run.execute(display.watch, display.begin)


@contextlib.contextmanager
def goes_on(the_run: Run) -> Iterator[None]:
    """Errors: Stopped for a Ctrl-C, by which time the run's folder is there."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(the_run.folder.name) from None


def _as_interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt
