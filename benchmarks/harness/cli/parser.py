"""The command line's words: its commands, their options and their help."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from benchmarks.harness.cli.options import PREDICT_OPTIONS, add_options


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ftbench",
        description="Fine-tunes the same text classifier in every framework and tells which one "
        "is fast, what fits, and whether they are equally right.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    run = commands.add_parser(
        "run",
        help="measure: all jobs of a profile, and a report",
        description="Runs every job of a profile, each in a process of its own, keeps each "
        "measurement as a file and writes a report. Example: "
        "ftbench run --profile cpu --data dir:PATH --backend hf_torch",
    )
    run.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a stopped run (its name, or "
        "'last'); what is done is not done again, and what failed is tried again",
    )
    add_options(run.add_argument)
    tune = commands.add_parser(
        "tune",
        help="find the fastest recipe that holds the accuracy",
        description="Races everything that a backend offers (precision, compilation, padding, "
        "batch, threads) against the profile's recipe, puts together what gains, trains both to "
        "see that the accuracy holds, and writes the winner as a profile. Example: "
        "ftbench tune --backend hf_torch --task imdb --profile cpu --data dir:PATH",
    )
    tune.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a stopped tuning (its name, or "
        "'last'); races that are decided are not run again",
    )
    add_options(tune.add_argument)
    limit_ = commands.add_parser(
        "limit",
        help="find the largest batch that fits",
        description="Finds and proves the largest batch that trains within a budget: it trained, "
        "and the next larger one ran out of memory. Every probe is a process of its own. Example: "
        "ftbench limit --backend hf_torch --task imdb --recipe length=256 --budget 6GiB",
    )
    add_options(limit_.add_argument)
    certify_ = commands.add_parser(
        "certify",
        help="prove that the backends do the same work, or show where they part",
        description="Lays two traces beside each other and tells what they prove: two that lie in "
        "files, from any machine or environment, or those that it takes now of a profile's work. "
        "Exit code 1 when the certificate does not hold.",
    )
    certify_.add_argument(
        "traces",
        nargs="*",
        metavar="TRACE",
        help="two equivalence measurements "
        "(JSON files, their arrays beside them); nothing is run then. Two in "
        "bf16, fp16 or tf32 need the fp32 trace of one of them, or of both, as "
        "well",
    )
    add_options(certify_.add_argument)
    predict_ = commands.add_parser(
        "predict",
        help="tell the largest batch that fits, on GPUs that are not here too",
        description="Predicts the memory that training takes and the largest batch that fits, "
        "without training and without a GPU. Example: "
        "ftbench predict --checkpoint bert-base --recipe length=512 --gpu T4 --gpu A100-40",
    )
    for flag, settings in PREDICT_OPTIONS:
        predict_.add_argument(flag, **settings)
    commands.add_parser(
        "list",
        help="backends, tasks, checkpoints, profiles and devices",
        description="Shows what there is to choose from and what is installed.",
    )
    report = commands.add_parser(
        "report",
        help="write a run's report again",
        description="Writes report.md and report.html from a run's measurements; several runs "
        "stand side by side.",
    )
    report.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run's name or folder; default: the last one"
    )
    report.add_argument(
        "--results", default="results", metavar="FOLDER", help="runs are kept in FOLDER/runs"
    )
    report.add_argument("--out", metavar="FOLDER", help="write the report there instead")
    return parser
