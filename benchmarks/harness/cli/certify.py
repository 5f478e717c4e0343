"""ftbench certify: do the backends do the same work?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.harness.cli.report import FAILURES, print_certificates, render
from benchmarks.harness.cli.run import execute, planned


def certify(options: argparse.Namespace, command: list[str]) -> int:
    """Compares two traces in files, or records and compares those of a profile."""
    from benchmarks.harness.equivalence.certify import certify_files
    from benchmarks.harness.errors import UserError

    if len(options.traces) not in (0, 2, 3, 4):
        raise UserError(
            f"certify compares two trace files, but {len(options.traces)} {'is' if len(options.traces) == 1 else 'are'} "
            "named: name two (and, if they are in bf16, fp16 or tf32, the fp32 trace of one backend or of "
            "both), or none to record traces with a profile"
        )
    if options.traces:
        from benchmarks.harness.cli.choices import changed_options

        extra = changed_options(vars(options))
        if extra:
            raise UserError(
                f"{', '.join(extra)}: trace files are only compared and nothing is run: leave out all "
                "options"
            )
        same = print_certificates([certify_files(*map(Path, options.traces))])
        return 0 if same else 1
    from benchmarks.harness.run.folder import RunFolder

    if options.question:
        raise UserError("--question: `ftbench certify` only answers equivalence: leave it out")
    folder = RunFolder.new(Path(options.results), planned(options, command, "equivalence"))
    execute(folder)
    certificates, measurements = folder.certificates(), folder.measurements()
    paths = render([folder.path])
    same = print_certificates(certificates)
    for m in measurements:
        if m.trace:
            print(f"{m.job.id}: {folder.path / m.job.id}.json")
        else:
            print(f"{m.job.id}: {m.status}: {m.reason}", file=sys.stderr)
    print(f"report: {paths.html}")
    return 0 if same and not any(m.status in FAILURES for m in measurements) else 1
