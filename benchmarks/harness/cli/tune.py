"""ftbench tune: the fastest recipe that keeps the accuracy."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from benchmarks.harness.cli.report import render
from benchmarks.harness.cli.run import (
    handle_signals,
    planned,
    resumable,
    resumed_folder,
)


def tune(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.folder import RunFolder
    from benchmarks.harness.run.run import Run
    from benchmarks.harness.tune import tuner as tuning
    from benchmarks.harness.tune.profile import write_tuning
    from results.report import tuning_text

    handle_signals()
    if options.resume:
        folder = resumed_folder(options)
    else:
        if len(options.backend) + len(options.model) != 1 or (
            len(options.task) != 1 and not options.dataset
        ):
            raise UserError(
                "tune improves the recipe of one backend on one task: add one --backend (or --model) and "
                "one --task (or --dataset)"
            )
        if options.question:
            raise UserError(
                f"--question {options.question[0]}: `ftbench tune` has no choice of questions: leave it out"
            )
        plan = tuning.plan_for(planned(options, command, "accuracy"), print)
        folder = RunFolder.new(Path(options.results), plan)
    run = Run(folder, print, lambda key, event: None)
    tuner = tuning.Tuner(run, print)
    tuner.check()
    folder.create()
    with resumable(folder), contextlib.closing(run):
        try:
            found = tuner.tune()
        except tuning.NoWinner as error:
            print(
                f"ftbench: no winner: {error}; to try again: "
                f"ftbench tune --resume {folder.path.name}",
                file=sys.stderr,
            )
            return 1
    profile_path = write_tuning(folder, found)
    paths = render([folder.path])
    print(tuning_text(found))
    print(f"profile: {profile_path}\nreport: {paths.html}\n        {paths.markdown}")
    return 0
