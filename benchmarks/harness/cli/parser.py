"""The commands of `ftbench`, their options and their help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from benchmarks.harness.cli.options import (
    ACCURACY_OPTIONS,
    LIMIT_OPTIONS,
    PREDICT_OPTIONS,
    RESULTS,
    SPEED_OPTIONS,
    add_options,
)
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
    for add_command in (
        _run,
        _tune,
        _limit,
        _certify,
        _predict,
        _list,
        _report,
        _compare,
        _export,
        _contribute,
    ):
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
    add_options(parser.add_argument, hidden=("--question", *SPEED_OPTIONS, *LIMIT_OPTIONS))


def _limit(add: AddParser) -> None:
    parser = add(
        "limit",
        help="find the largest batch that fits",
        description="Finds the largest batch that trains within a memory budget, and proves it: "
        "that batch trained, and the next larger one ran out of memory. Every probe is a process "
        "of its own. Example: "
        "ftbench limit --backend hf_torch --task imdb --recipe length=256 --budget 6GiB",
    )
    add_options(parser.add_argument, hidden=("--question", *SPEED_OPTIONS, *ACCURACY_OPTIONS))


def _certify(add: AddParser) -> None:
    parser = add(
        "certify",
        help="prove that backends do the same work, or show where they differ",
        description="Compares short trainings of two backends (traces) step by step. With two trace "
        "files, from any machine, nothing is run; without files, the traces of a profile are recorded "
        "first. Exit code 1 if the certificate does not hold.",
    )
    parser.add_argument(
        "traces",
        nargs="*",
        metavar="TRACE",
        help="a recorded trace: the JSON file of an equivalence measurement, with its .npz file next "
        "to it. Name two files; if the traces are in bf16, fp16 or tf32, also name the fp32 trace of "
        "one backend or of both",
    )
    not_used = (*SPEED_OPTIONS, *LIMIT_OPTIONS, *ACCURACY_OPTIONS, "--track")
    add_options(parser.add_argument, hidden=("--question", *not_used))


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
        description="Shows what can be chosen: backends (and whether they are installed), tasks, "
        "checkpoints, profiles and devices.",
    )


def _report(add: AddParser) -> None:
    parser = add(
        "report",
        help="write the report of one or more runs",
        description="Writes report.html and report.md of a run into its folder. With --out, writes a "
        "folder of pages about one or more runs: an overview, one page per question and one per "
        "run. Runs of one machine are merged. Example: "
        "ftbench report RUN_A RUN_B --out pages",
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run's name or folder; default: the last run"
    )
    parser.add_argument("--results", **RESULTS)
    parser.add_argument("--all", action="store_true", help="all runs of --results")
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="write a folder of pages; its first page is FOLDER/index.html",
    )
    parser.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="NAME=AMOUNT",
        help="the price of one hour of a machine, such as 'T4=0.35 EUR'; NAME is a GPU type or a device's "
        "name; needs --out; repeatable",
    )


def _compare(add: AddParser) -> None:
    parser = add(
        "compare",
        help="show what changed between two runs, beyond the noise",
        description="Compares speed, memory and accuracy of the same work: of two runs, of two "
        "folders of runs, of the runs of two commits, or of two files that pytest-benchmark saved. "
        "Example: ftbench compare RUN_A RUN_B --fail-on slower:5%,memory:3%,accuracy:1pt",
    )
    for name, what in (("before", "older"), ("after", "newer")):
        parser.add_argument(
            name, metavar=name.upper(), help=f"the {what} run, folder of runs, commit or file"
        )
    parser.add_argument("--results", **RESULTS)
    parser.add_argument(
        "--fail-on",
        metavar="BOUNDS",
        help="exit with 1 if a figure became worse by more than its bound, beyond the noise: "
        "slower:5%%, memory:3%% or accuracy:1pt, or several separated by commas",
    )


def _export(add: AddParser) -> None:
    parser = add(
        "export",
        help="write all figures of runs as one table",
        description="Writes one row per figure of every job. Example: "
        "ftbench export --all --format parquet",
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run's name or folder; default: the last run"
    )
    parser.add_argument("--results", **RESULTS)
    parser.add_argument("--all", action="store_true", help="all runs of --results")
    parser.add_argument(
        "--format", default="csv", choices=["csv", "json", "parquet"], help="default: csv"
    )
    parser.add_argument("--out", metavar="FILE", help="default: ftbench.csv, .json or .parquet")


def _contribute(add: AddParser) -> None:
    parser = add(
        "contribute",
        help="check a run and copy it for a pull request",
        description="Checks a run and copies its records to results/published/MACHINE/. The files must be "
        "readable, record the commit, the device and the data, and contain no paths, host names or user "
        "names; the certificates must hold. Example: ftbench contribute RUN --machine a100-80gb",
    )
    parser.add_argument("run", metavar="RUN", help="a run's name or folder")
    parser.add_argument("--results", **RESULTS)
    parser.add_argument("--machine", metavar="NAME", help="name of the machine's folder")
    parser.add_argument(
        "--name", metavar="NAME", help="name of the run's folder (default: the name of the run)"
    )
    parser.add_argument(
        "--published",
        metavar="FOLDER",
        default="results/published",
        help="the folder that holds the machines' folders (default: results/published)",
    )
    parser.add_argument("--check", action="store_true", help="only check, write nothing")
