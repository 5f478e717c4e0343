"""ftbench limit: the largest batch that fits a budget."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness.cli.report import FAILURES, render
from benchmarks.harness.cli.run import execute, planned


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
