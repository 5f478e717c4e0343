"""ftbench limit: the largest batch that fits a budget."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness.cli.report import FAILURES, render
from benchmarks.harness.cli.run import execute, planned


def limit(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.limits.text import limit_text
    from benchmarks.harness.run.folder import RunFolder

    if options.question:
        raise UserError("--question: `ftbench limit` only answers batch_limit: leave it out")
    folder = RunFolder.new(Path(options.results), planned(options, command, "batch_limit"))
    execute(folder)
    measurements = folder.measurements()
    paths = render([folder.path])
    for m in measurements:
        print(f"{m.job.id}: {limit_text(m)}")
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 1 if any(m.status in FAILURES for m in measurements) else 0
