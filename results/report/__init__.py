"""The report of one or several runs: Markdown, one self-contained HTML file, a terminal table.

`view` collects the runs, the sections turn them into a `document`, and the writers write it. The same
measurements give the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.analysis.compare import Row, compare
from results.analysis.cost import Price as Price
from results.analysis.cost import UnknownMachine as UnknownMachine
from results.analysis.over_runs.changes import LIMITS as LIMITS
from results.analysis.over_runs.changes import Change as Change
from results.analysis.over_runs.changes import Figure as Figure
from results.analysis.over_runs.changes import changes, subject_key
from results.analysis.over_runs.changes import saved_changes as saved_changes
from results.analysis.proof import origin, pair_title
from results.report.comparison import broken_text as broken_text
from results.report.comparison import changes_text as changes_text
from results.report.document import Document, Paragraph
from results.report.load import read_runs
from results.report.proofs import proof_of_all
from results.report.sections import (
    accuracy,
    controls,
    equivalence,
    finders,
    levers,
    limits,
    memory,
    not_measured,
    predictions,
    published,
    settings,
    speed,
    studies,
)
from results.report.sections import tuning as tuned
from results.report.sections.first_screen import first_screen
from results.report.sections.limits.grid import grid_table
from results.report.sections.overview import overview
from results.report.sections.speed.ratios import not_raced_together
from results.report.sections.verdict import race_verdicts
from results.report.site import write_site as write_site
from results.report.view import Run, View
from results.report.writers import html, markdown
from results.report.writers.terminal import text_table
from results.schema import Certificate, Measurement, Tuning
from results.store import write_text

WIDTH = 100  # of a line on the terminal
# In the order of the questions that the report answers.
SECTIONS = (
    equivalence.section,
    speed.section,
    tuned.section,
    controls.section,
    memory.section,
    levers.section,
    limits.section,
    finders.section,
    predictions.section,
    accuracy.section,
    studies.section,
    published.section,
    not_measured.section,
    settings.section,
)


@dataclass(frozen=True)
class ReportPaths:
    markdown: Path
    html: Path


def table(
    measurements: Sequence[Measurement],
    titles: Mapping[str, str] | None = None,
    certificates: Sequence[Certificate] = (),
) -> str:
    """For the terminal: a verdict per race, one row per task and backend, the grid of largest batches,
    and what is proven.
    `titles` are the backends' names to show."""
    view = View.of([Run("", None, None, measurements, [], certificates)], titles or {})
    if not measurements:
        return "nothing was measured"
    tables = [overview(view, short=True)] if view.comparisons else []
    tables += [grid_table(view, grid) for grid in view.grids]
    verdicts = [f"{head}: {verdict.sentence(view.titles)}" for head, verdict in race_verdicts(view)]
    lines = [f"(A/A pair: {controls.noise_text(view, pair)})" for pair in view.noise_pairs]
    lines += [f"({text})" for text in not_raced_together(view)]
    above, below = (
        [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in some]
        for some in (verdicts, lines)
    )
    return "\n".join([*above, *map(text_table, tables), *below, f"({proof_of_all(view)})"])


def certificate_text(certificate: Certificate, titles: Mapping[str, str]) -> str:
    """A certificate for the terminal: its checks, its verdict and the likely cause of a failure."""
    checks = text_table(equivalence.checks_table([certificate]))
    lines = [f"{certificate.task}, {pair_title(certificate, titles)}", checks, certificate.verdict]
    derivation = origin(certificate, titles)
    lines += [derivation] if derivation else []
    lines += [f"likely cause: {certificate.likely_cause}"] if certificate.likely_cause else []
    return "\n".join(lines)


def tuning_text(tuning: Tuning) -> str:
    """What tuning found, for the terminal: the gain, the accuracy, the share of the matmul rate."""
    return tuned.sentence(tuning)


def render(
    folders: Sequence[Path], out: Path | None = None, titles: Mapping[str, str] | None = None
) -> ReportPaths:
    """Writes report.html, which needs no other file, and the short report.md into `out`, by default
    the first run's folder.

    Several runs are compared in one report. `titles` are the backends' names to show.
    Errors: StoreError when the report cannot be written."""
    report = document(View.of(read_runs(folders), titles or {}))
    target = out or folders[0]
    paths = ReportPaths(target / "report.md", target / "report.html")
    write_text(paths.markdown, markdown.write(_short(report)))
    write_text(paths.html, html.write(report))
    return paths


def changes_of(before: Sequence[Path], after: Sequence[Path]) -> list[Change]:
    """What changed between two sets of runs, each merged by machine."""
    return changes(*(_compared(read_runs(side)) for side in (before, after)))


def _compared(runs: Sequence[Run]) -> list[list[Row]]:
    """The comparisons that are merged by machine, and those of named changes, each from the newest run
    that has it."""
    started_at = {run.name: run.origin.started_at for run in runs}
    entries = [one for run in runs for one in run.entries if one.measurement.job.change]
    named = compare(entries)
    named.sort(key=lambda rows: started_at[rows[0].comparison.run])
    newest = {subject_key(rows[0]): rows for rows in named}
    return [*View.merged_by_machine(runs, {}).comparisons, *newest.values()]


def as_markdown(folders: Sequence[Path], titles: Mapping[str, str] | None = None) -> str:
    """The whole report as Markdown, without pictures."""
    return markdown.write(document(View.of(read_runs(folders), titles or {})))


def _short(report: Document) -> Document:
    more = Paragraph(
        f"The details are in report.html: {'; '.join(s.title for s in report.sections)}"
    )
    return Document(report.title, [*report.first_screen, more])


def document(view: View) -> Document:
    names = ", ".join(run.name for run in view.runs)
    sections = [found for make in SECTIONS if (found := make(view))]
    return Document(f"Fine-tuning compared: {names}", first_screen(view), sections)
