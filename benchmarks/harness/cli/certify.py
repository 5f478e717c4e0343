"""ftbench certify: do the backends do the same work?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.harness.cli.report import FAILURES, render, told
from benchmarks.harness.cli.run import execute, planned


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
