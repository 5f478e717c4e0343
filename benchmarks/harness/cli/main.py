"""The command line: `ftbench run`, `limit`, `predict`, `certify`, `tune`, `list`, `report`.

Exit codes: 0 all jobs gave their figures or are excluded with a reason; 1 a job failed, was
killed or hung, a certificate does not hold, or tuning has no plain recipe to judge by; 2 bad input;
130 stopped by Ctrl-C. Only the parsing is imported at the start, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness.cli.certify import certify
from benchmarks.harness.cli.limit import limit
from benchmarks.harness.cli.report import render, report
from benchmarks.harness.cli.run import Stopped, run
from benchmarks.harness.cli.tune import tune


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
}


if __name__ == "__main__":
    sys.exit(main())
