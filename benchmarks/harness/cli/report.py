"""ftbench report, and what every command prints at its end."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.errors import printable

if TYPE_CHECKING:
    from benchmarks.harness.run.folder import RunFolder
    from frameworks.contract import Backend
    from results.report import Price, ReportPaths
    from results.schema import Certificate, Measurement

FAILURES = {"failed", "killed", "timeout", "interrupted"}


def print_certificates(certificates: Sequence[Certificate]) -> bool:
    """Prints every certificate with its checks; whether there are any and all hold."""
    from results.analysis.proof import NOT_PROVEN
    from results.report import certificate_text

    if not certificates:
        print(
            f"{NOT_PROVEN}: a certificate needs the traces of two backends on one task, and this run has "
            "only one: record the other trace in the other backend's environment, then compare both files: "
            "ftbench certify TRACE TRACE",
            file=sys.stderr,
        )
    for certificate in certificates:
        print(certificate_text(certificate, backend_titles()))
    return bool(certificates) and all(c.holds for c in certificates)


class Titles(Mapping[str, str]):
    """The backends' names to show, by their names in results; those of users' models too."""

    def __init__(self, known: Mapping[str, Backend]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> str:
        return self._known[name].title

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def backend_titles() -> Titles:
    from frameworks.contract import backends

    return Titles(backends())


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
    for line in [*skipped(measurements), *found]:
        print(line, file=sys.stderr)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 1 if found else 0


def skipped(measurements: Sequence[Measurement]) -> list[str]:
    """One line for each reason why jobs of a backend were not run."""
    reasons = {
        (m.job.backend, m.reason): None
        for m in measurements
        if m.status in ("not_installed", "unsupported", "refused")
    }
    return [printable(f"{backend} skipped: {reason}") for backend, reason in reasons]


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
    """One run's own page, or the site of one or several runs where --out names a folder."""
    from benchmarks.harness.errors import UserError
    from results import store

    prices = dict(map(price, options.price))
    folders = chosen_runs(options)
    if prices and not options.out:
        raise UserError(
            f"--price {options.price[0]!r}: costs are on a page that only --out writes: add --out FOLDER"
        )
    if len(folders) > 1 and not options.out:
        raise UserError(f"the report of {len(folders)} runs is a folder of pages: add --out FOLDER")
    for folder in folders:
        for problem in store.read_run(folder)[2]:
            print(f"skipped: {problem}", file=sys.stderr)
    if options.out:
        files = write_site(folders, Path(options.out), prices)
        print(f"report: {files[0]}\n        {files[-1]}")
        return 0
    paths = render(folders)
    print(f"report: {paths.html}\n        {paths.markdown}")
    return 0


def chosen_runs(options: argparse.Namespace) -> list[Path]:
    """The runs that are named, all of them, or the last. Errors: UserError where there is none."""
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.folder import no_run, run_folder
    from results import store

    root = Path(options.results)
    if options.all and options.runs:
        raise UserError(
            f"--all means every run in {root / 'runs'}: leave out --all or {options.runs[0]!r}"
        )
    every = store.runs(root)
    if not options.runs and not every:
        raise no_run(root)
    if options.all:
        return every
    return [run_folder(root, name) for name in options.runs or [str(every[-1])]]


def price(text: str) -> tuple[str, Price]:
    """Of 'T4=0.35 EUR'. Errors: UserError."""
    from benchmarks.harness.errors import UserError
    from results.report import Price

    found = re.fullmatch(r"(.+)=\s*([0-9]*\.?[0-9]+)\s*(\D{0,8})", text.strip())
    if not found or float(found[2]) == 0:
        raise UserError(
            f"--price {text!r}: write NAME=AMOUNT, the price of one hour, such as 'T4=0.35 EUR'"
        )
    return found[1].strip(), Price(float(found[2]), found[3].strip())


def write_site(
    folders: Sequence[Path], out: Path, prices: Mapping[str, Price] | None = None
) -> list[Path]:
    from benchmarks.harness.errors import UserError
    from results import report, store

    try:
        return report.write_site(folders, out, backend_titles(), prices)
    except report.UnknownMachine as error:
        raise UserError(str(error)) from None
    except store.StoreError as error:
        raise UserError(f"{error}; choose another folder with --out") from None
