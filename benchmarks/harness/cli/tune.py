"""ftbench tune: the fastest recipe that keeps the accuracy."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.harness.cli.report import render
from benchmarks.harness.cli.run import _as_interrupt, goes_on, planned, stopped_run


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
