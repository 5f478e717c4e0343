"""The report of one or several runs: Markdown, one self-contained HTML file, a terminal table.

`view` gathers the runs, the section modules turn them into a `document`, and `markdown` and
`html` write it down. The same measurements give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.analysis.proof import origin, who
from results.report.document import Document
from results.report.sections import (
    accuracy,
    controls,
    equivalence,
    finders,
    levers,
    limits,
    memory,
    missing,
    predictions,
    published,
    settings,
    speed,
)
from results.report.sections import tuning as tuned
from results.report.sections.first_screen import first_screen
from results.report.sections.overview import overview
from results.report.view import Run, View
from results.report.writers import html, markdown
from results.report.writers.terminal import text_table
from results.schema import Certificate, Measurement, Tuning
from results.store import (
    is_of_earlier_version,
    read_certificates,
    read_prediction_cases,
    read_predictions,
    read_run,
    read_tuning,
    write_text,
)

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
    published.section,
    missing.section,
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
    """The comparison table for the terminal: one row per task and backend, and what fits where.
    `titles` are the backends' names to show."""
    view = View.of([Run("", None, None, measurements, [], certificates)], titles or {})
    if not measurements:
        return "nothing was measured"
    tables = [overview(view)] * bool(view.comparisons)
    tables += [limits.grid_table(view, grid) for grid in view.grids]
    noise = [f"(noise floor: {controls.noise_text(view, pair)})" for pair in view.noise_pairs]
    noise += [f"({text})" for text in speed.apart(view)]
    return "\n".join([*map(text_table, tables), *noise, f"({view.proof})"])


def certificate_text(certificate: Certificate, titles: Mapping[str, str]) -> str:
    """A certificate for the terminal: its checks, its verdict and the likely cause of a failure."""
    checks = text_table(equivalence.checks_table([certificate]))
    lines = [f"{certificate.task}, {who(certificate, titles)}", checks, certificate.verdict]
    lines += [text for text in [origin(certificate, titles)] if text]
    lines += [f"likely cause: {certificate.likely_cause}"] * bool(certificate.likely_cause)
    return "\n".join(lines)


def tuning_text(tuning: Tuning) -> str:
    """What tuning found, for the terminal: the gain, the accuracy, the share of the matmul rate."""
    return tuned.sentence(tuning)


def render(
    folders: Sequence[Path], out: Path | None = None, titles: Mapping[str, str] | None = None
) -> ReportPaths:
    """Writes report.md and report.html into `out`, by default the first run's folder.

    Several runs stand side by side. `titles` are the backends' names to show.
    Errors: StoreError when the report cannot be written."""
    runs = [_run(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    view = View.of(runs, titles or {})
    report = document(view)
    target = out or folders[0]
    paths = ReportPaths(target / "report.md", target / "report.html")
    write_text(paths.markdown, markdown.write(report))
    write_text(paths.html, html.write(report))
    return paths


def document(view: View) -> Document:
    names = ", ".join(run.name for run in view.runs)
    sections = [found for make in SECTIONS if (found := make(view))]
    return Document(f"Fine-tuning compared: {names}", first_screen(view), sections)


def _names(folders: Sequence[Path]) -> list[str]:
    """A run goes by its folder, which may have been given a better name; with the one above where
    several are named alike."""
    paths = [folder.absolute() for folder in folders]
    names = [path.name for path in paths]
    return [
        path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}"
        for path in paths
    ]


def _run(folder: Path, name: str) -> Run:
    info, measurements, problems = read_run(folder)
    certificates, damaged = read_certificates(folder)
    told, unread = read_predictions(folder)
    cases, torn = read_prediction_cases(folder)
    return Run(
        name,
        folder,
        info,
        measurements,
        [*problems, *damaged, *unread, *torn],
        certificates,
        told,
        cases,
        read_tuning(folder),
        is_of_earlier_version(folder),
    )
