"""The command line: `ftbench run`, `limit`, `predict`, `certify`, `tune`, `list`, `report`.

Exit codes: 0 all jobs gave their figures or are excluded with a reason; 1 a job failed, was
killed or hung, a certificate does not hold, or tuning has no plain recipe to judge by; 2 bad input;
130 stopped by Ctrl-C. Only the parsing is imported at the start, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from benchmarks.harness.plan.plan import Plan
    from benchmarks.harness.run.run import Run
    from results.report import ReportPaths
    from results.schema import Certificate, Question

FAILURES = {"failed", "killed", "timeout", "interrupted"}


class Stopped(KeyboardInterrupt):
    """A run was stopped that can go on; its name."""


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    from benchmarks.harness.cli.parser import make_parser
    from benchmarks.harness.errors import UserError

    options = make_parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options, ["ftbench", *arguments])
    except UserError as error:
        print(f"ftbench: {error}", file=sys.stderr)
        return 2
    except Stopped as run:
        command = "tune" if options.command == "tune" else "run"
        print(f"ftbench: stopped; `ftbench {command} --resume {run}` goes on", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("ftbench: stopped", file=sys.stderr)
        return 130


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


def limit(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.limits.text import limit_text
    from benchmarks.harness.run.run import Run

    if options.question:
        raise UserError("--question does not go with limit, which asks batch_limit only")
    the_run = Run.new(Path(options.results), planned(options, command, "batch_limit"))
    execute(the_run)
    measurements = the_run.measurements()
    paths = render([the_run.folder])
    for m in measurements:
        print(f"{m.job.id}: {limit_text(m)}")
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 1 if any(m.status in FAILURES for m in measurements) else 0


def certify(options: argparse.Namespace, command: list[str]) -> int:
    """Certificates of two files, or of a profile's work."""
    from benchmarks.harness.equivalence.certify import certify_files
    from benchmarks.harness.errors import UserError

    if len(options.traces) not in (0, 2, 3, 4):
        raise UserError(
            f"certify takes two traces or none, not {len(options.traces)}: name two "
            "files (and their fp32 traces where they are in a reduced precision), or "
            "choose a profile whose traces are taken"
        )
    if options.traces:
        from benchmarks.harness.cli.options import given

        extra = given(vars(options))
        if extra:
            raise UserError(
                f"{', '.join(extra)} say what to run; two traces are only compared: leave them out"
            )
        return told([certify_files(*map(Path, options.traces))])
    from benchmarks.harness.run.run import Run

    if options.question:
        raise UserError("--question does not go with certify, which asks equivalence only")
    the_run = Run.new(Path(options.results), planned(options, command, "equivalence"))
    execute(the_run)
    certificates, measurements = the_run.certify(), the_run.measurements()
    paths = render([the_run.folder])
    code = max(told(certificates), int(any(m.status in FAILURES for m in measurements)))
    for m in measurements:
        outcome = str(the_run.folder / f"{m.job.id}.json") if m.trace else m.reason
        print(f"{m.job.id}: {outcome}", file=sys.stdout if m.trace else sys.stderr)
    print(f"report: {paths.html}")
    return code


def told(certificates: Sequence[Certificate]) -> int:
    """Prints every certificate with its checks; the exit code."""
    from results.analysis.proof import NOT_PROVEN
    from results.report import certificate_text

    if not certificates:
        print(
            f"{NOT_PROVEN}: there are no two traces of one task to lay beside each other; take "
            "the other backend's in its own environment and name both files",
            file=sys.stderr,
        )
    for certificate in certificates:
        print(certificate_text(certificate, backend_titles()))
    return 0 if certificates and all(c.holds for c in certificates) else 1


def tune(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.run import Run
    from benchmarks.harness.tune import tuner as tuning
    from benchmarks.harness.tune.profile import keep
    from results.report import tuning_text

    signal.signal(signal.SIGTERM, _as_interrupt)
    if options.resume:
        the_run = stopped_run(options)
    else:
        if len(options.backend) != 1 or (len(options.task) != 1 and not options.dataset):
            raise UserError("tune takes one --backend and one --task (or --dataset)")
        if options.question:
            raise UserError("tune asks its own questions: leave out --question")
        plan = tuning.plan_for(planned(options, command, "accuracy"), print)
        the_run = Run.new(Path(options.results), plan)
    tuner = tuning.Tuner(the_run, print, lambda key, event: None)
    tuner.check()
    the_run.create()
    try:
        with goes_on(the_run):
            found = tuner.tune()
    except tuning.NoWinner as error:
        print(
            f"ftbench: no winner: {error}; `ftbench tune --resume {the_run.folder.name}` tries "
            "it again",
            file=sys.stderr,
        )
        return 1
    profile_path = keep(the_run, found)
    paths = render([the_run.folder])
    print(tuning_text(found))
    print(f"profile: {profile_path}\nreport: {paths.html}\n        {paths.markdown}")
    return 0


def predict(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.cli import predict as predict_command

    if options.check:
        print(f"cases: {predict_command.check(options)}")
        return 0
    folder = predict_command.predict(options, command)
    paths = render([folder])
    print(f"report: {paths.html}", file=sys.stderr if options.json else sys.stdout)
    return 0


def _as_interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def backend_titles() -> dict[str, str]:
    from frameworks.contract import BACKENDS

    return {name: info.title for name, info in BACKENDS.items()}


def render(folders: Sequence[Path], out: Path | None = None) -> ReportPaths:
    """Writes the report. Errors: UserError when it cannot be written."""
    from benchmarks.harness.errors import UserError
    from results import report, store

    try:
        return report.render(folders, out, backend_titles())
    except store.StoreError as error:
        raise UserError(str(error)) from None


def summary(the_run: Run) -> int:
    """Prints the table, what failed and where the report is; the exit code."""
    from results.report import table

    measurements, certificates = the_run.measurements(), the_run.certify()
    paths = render([the_run.folder])
    print(table(measurements, backend_titles(), certificates))
    broken = [c for c in certificates if not c.holds]
    for c in broken:
        print(f"{c.task}: {c.verdict}; it points to {c.points_to}", file=sys.stderr)
    failed = [m for m in measurements if m.status in FAILURES]
    for m in failed:
        print(f"{m.job.id}: {m.status}: {m.reason}", file=sys.stderr)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 1 if failed or broken else 0


def show_list(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.cli.list import listing

    print(listing())
    return 0


def report(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.run import run_folder
    from results import store

    root = Path(options.results)
    latest = store.latest_run(root)
    if not options.runs and latest is None:
        raise UserError(f"there is no run in {root / 'runs'}: --results names another folder")
    folders = [run_folder(root, name) for name in options.runs or [str(latest)]]
    for folder in folders:
        for problem in store.read_run(folder)[2]:
            print(f"left out: {problem}", file=sys.stderr)
    paths = render(folders, Path(options.out) if options.out else None)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 0


COMMANDS = {
    "run": run,
    "limit": limit,
    "certify": certify,
    "predict": predict,
    "tune": tune,
    "list": show_list,
    "report": report,
}


if __name__ == "__main__":
    sys.exit(main())
