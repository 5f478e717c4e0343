"""ftbench report, and what every command prints at its end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.harness.run.run import Run
    from results.report import ReportPaths
    from results.schema import Certificate

FAILURES = {"failed", "killed", "timeout", "interrupted"}


def told(certificates: Sequence[Certificate]) -> int:
    """Prints every certificate with its checks; the exit code."""
    from results.analysis.proof import NOT_PROVEN
    from results.report import certificate_text

    if not certificates:
        print(
            f"{NOT_PROVEN}: there are no two traces of one task to lay beside each other; take "
            "the other backend's in its own environment and name both files",
            file=sys.stderr,
        )
    for certificate in certificates:
        print(certificate_text(certificate, backend_titles()))
    return 0 if certificates and all(c.holds for c in certificates) else 1


def backend_titles() -> dict[str, str]:
    from frameworks.contract import backends

    return {name: info.title for name, info in backends().items()}


def render(folders: Sequence[Path], out: Path | None = None) -> ReportPaths:
    """Writes the report. Errors: UserError when it cannot be written."""
    from benchmarks.harness.errors import UserError
    from results import report, store

    try:
        return report.render(folders, out, backend_titles())
    except store.StoreError as error:
        raise UserError(str(error)) from None


def summary(the_run: Run) -> int:
    """Prints the table, what failed and where the report is; the exit code."""
    from results.report import table

    measurements, certificates = the_run.measurements(), the_run.certify()
    paths = render([the_run.folder])
    print(table(measurements, backend_titles(), certificates))
    broken = [c for c in certificates if not c.holds]
    for c in broken:
        print(f"{c.task}: {c.verdict}; likely cause: {c.likely_cause}", file=sys.stderr)
    failed = [m for m in measurements if m.status in FAILURES]
    for m in failed:
        print(f"{m.job.id}: {m.status}: {m.reason}", file=sys.stderr)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 1 if failed or broken else 0


def report(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.folder import run_folder
    from results import store

    root = Path(options.results)
    latest = store.latest_run(root)
    if not options.runs and latest is None:
        raise UserError(f"there is no run in {root / 'runs'}: --results names another folder")
    folders = [run_folder(root, name) for name in options.runs or [str(latest)]]
    for folder in folders:
        for problem in store.read_run(folder)[2]:
            print(f"left out: {problem}", file=sys.stderr)
    paths = render(folders, Path(options.out) if options.out else None)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 0
