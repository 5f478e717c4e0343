"""What was not measured: every job without figures, and every file that could not be read."""

from __future__ import annotations

from results.report.document import Block, Code, Details, Listing, Section
from results.report.format import STATUS_TEXT
from results.report.view import View
from results.schema import Measurement


def section(view: View) -> Section | None:
    blocks: list[Block] = []
    for run in view.runs:
        where = f"{run.name}: " if view.several_runs else ""
        for m in run.measurements:
            if m.status != "ok":
                blocks += _entry(where, m)
        if run.problems:
            blocks.append(Listing([f"{where}{problem}" for problem in run.problems]))
    return Section("What was not measured", "not-measured", blocks) if blocks else None


def _entry(where: str, m: Measurement) -> list[Block]:
    line = f"{where}{m.job.id}: {STATUS_TEXT[m.status]}: {m.reason or 'no reason recorded'}"
    if not m.stderr_tail:
        return [Listing([line])]
    return [
        Listing([line]),
        Details("the last lines of its stderr", [Code("\n".join(m.stderr_tail))]),
    ]
