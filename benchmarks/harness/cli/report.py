"""ftbench report, and what every command prints at its end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.errors import printable

if TYPE_CHECKING:
    from benchmarks.harness.run.folder import RunFolder
    from results.report import ReportPaths
    from results.schema import Certificate, Measurement

FAILURES = {"failed", "killed", "timeout", "interrupted"}


def print_certificates(certificates: Sequence[Certificate]) -> bool:
    """Prints every certificate with its checks; whether there are any and all hold."""
    from results.analysis.proof import NOT_PROVEN
    from results.report import certificate_text

    if not certificates:
        print(
            f"{NOT_PROVEN}: a certificate compares two traces of one task, and this run has no "
            "two: record the other backend's trace in its own environment, then name both files: "
            "ftbench certify TRACE TRACE",
            file=sys.stderr,
        )
    for certificate in certificates:
        print(certificate_text(certificate, backend_titles()))
    return bool(certificates) and all(c.holds for c in certificates)


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


def print_summary(folder: RunFolder) -> int:
    """Prints the table, what failed and where the report is; the exit code."""
    from results.report import table

    measurements, certificates = folder.measurements(), folder.certificates()
    paths = render([folder.path])
    print(table(measurements, backend_titles(), certificates))
    found = problems(measurements, certificates)
    for line in found:
        print(line, file=sys.stderr)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 1 if found else 0


def problems(measurements: Sequence[Measurement], certificates: Sequence[Certificate]) -> list[str]:
    """One line for each certificate that does not hold and each job that failed."""
    return [
        f"{c.task}: {c.verdict}; likely cause: {c.likely_cause}"
        for c in certificates
        if not c.holds
    ] + [
        printable(f"{m.job.id}: {m.status}: {m.reason}")
        for m in measurements
        if m.status in FAILURES
    ]


def report(options: argparse.Namespace, command: list[str]) -> int:
    from benchmarks.harness.run.folder import no_run, run_folder
    from results import store

    root = Path(options.results)
    latest = store.latest_run(root)
    if not options.runs and latest is None:
        raise no_run(root)
    folders = [run_folder(root, name) for name in options.runs or [str(latest)]]
    for folder in folders:
        for problem in store.read_run(folder)[2]:
            print(f"skipped: {problem}", file=sys.stderr)
    paths = render(folders, Path(options.out) if options.out else None)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 0
