"""The commands of `ftbench`, their options and their help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from benchmarks.harness.cli.options import PREDICT_OPTIONS, RESULTS, add_options
from benchmarks.harness.errors import printable

EXIT_CODES = """exit codes:
  0    every job gave its figures, or was skipped with a reason
  1    a job failed, or a certificate does not hold
  2    invalid input: one line says what is wrong and how to fix it
  3    an unexpected error: one line names the file with the details
  130  stopped by Ctrl-C; a run can be resumed
"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {printable(message)} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ftbench",
        description="Fine-tunes the same text classifier in several frameworks and reports which one "
        "is\nfast, what fits into memory, and whether they do the same work equally well.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    for add_command in (_run, _tune, _limit, _certify, _predict, _list, _report):
        add_command(commands.add_parser)
    return parser


AddParser = Callable[..., argparse.ArgumentParser]


def _run(add: AddParser) -> None:
    parser = add(
        "run",
        help="measure all jobs of a profile and write a report",
        description="Runs every job of a profile in a process of its own, stores each measurement "
        "in a file and writes a report. Example: "
        "ftbench run --profile cpu --data dir:PATH --backend hf_torch",
    )
    _resume(parser, "run (its name, or 'last'): finished jobs are kept, failed ones run again")
    add_options(parser.add_argument)


def _resume(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--resume", metavar="RUN", help=f"continue a stopped {what}")


def _tune(add: AddParser) -> None:
    parser = add(
        "tune",
        help="find the fastest recipe that keeps the accuracy",
        description="Times every option that a backend has (precision, compilation, padding, "
        "batch, threads) against the profile's recipe, combines those that make it faster, trains "
        "both recipes to check that the accuracy holds, and writes the winner as a profile. "
        "Example: ftbench tune --backend hf_torch --task imdb --profile cpu --data dir:PATH",
    )
    _resume(parser, "tuning (its name, or 'last'): finished races are kept")
    add_options(parser.add_argument)


def _limit(add: AddParser) -> None:
    parser = add(
        "limit",
        help="find the largest batch that fits",
        description="Finds the largest batch that trains within a memory budget, and proves it: "
        "that batch trained, and the next larger one ran out of memory. Every probe is a process "
        "of its own. Example: "
        "ftbench limit --backend hf_torch --task imdb --recipe length=256 --budget 6GiB",
    )
    add_options(parser.add_argument)


def _certify(add: AddParser) -> None:
    parser = add(
        "certify",
        help="prove that backends do the same work, or show where they differ",
        description="Compares two traces step by step: two files, from any machine or environment, "
        "or those that it records for a profile. Exit code 1 if the certificate does not hold.",
    )
    parser.add_argument(
        "traces",
        nargs="*",
        metavar="TRACE",
        help="two equivalence measurements (JSON files, their arrays next to them) to compare "
        "without running anything; two in bf16, fp16 or tf32 also need the fp32 trace of one or of "
        "both",
    )
    add_options(parser.add_argument)


def _predict(add: AddParser) -> None:
    parser = add(
        "predict",
        help="predict the largest batch that fits, also on GPUs that you do not have",
        description="Predicts the memory that training needs and the largest batch that fits, "
        "without training and without a GPU. Example: "
        "ftbench predict --checkpoint bert-base --recipe length=512 --gpu T4 --gpu A100-40",
    )
    for flag, settings in PREDICT_OPTIONS:
        parser.add_argument(flag, **settings)


def _list(add: AddParser) -> None:
    add(
        "list",
        help="show backends, tasks, checkpoints, profiles and devices",
        description="Shows the available backends, tasks, checkpoints, profiles and devices, and "
        "which backends are installed.",
    )


def _report(add: AddParser) -> None:
    parser = add(
        "report",
        help="write the report of one or more runs again",
        description="Writes report.md and report.html from the measurements of a run. Several runs "
        "are shown side by side.",
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run's name or folder; default: the last run"
    )
    parser.add_argument("--results", **RESULTS)
    parser.add_argument("--out", metavar="FOLDER", help="write the report to FOLDER instead")
