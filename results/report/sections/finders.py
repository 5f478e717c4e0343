"""What do other batch size finders answer? Each answer compared with the proven limit."""

from __future__ import annotations

from results.analysis.limits import Limit, finder_summaries
from results.report.document import Cell, Column, Details, Paragraph, Section, Table
from results.report.format import count, duration, gap, number
from results.report.provenance import labels
from results.report.sections.limits.grid import limit_text, place_name
from results.report.sections.limits.searches import limit_cells, limit_columns
from results.report.view import View
from results.schema import Finder

VERDICT_TEXT = {
    "right": "right",
    "too low": "too low",
    "too high": "too high: it fails",
    "none": "",
    "unknown": "larger than every batch tried",
}


def section(view: View) -> Section | None:
    summaries = finder_summaries(view.limits)
    if not summaries:
        return None
    columns = [
        Column("finder", numeric=False),
        Column("searches"),
        Column("right"),
        Column("too low"),
        Column("too high"),
        Column("no answer"),
        Column("unknown"),
        Column("probes", "median"),
        Column("ours", "median"),
        Column("time"),
        Column("ours"),
        Column("time", "times ours"),
    ]
    table = Table(
        columns,
        [
            [
                Cell(s.name),
                Cell(count(s.searches)),
                *[Cell(count(n)) for n in s.answers.values()],
                Cell(f"{s.median_probes:g}"),
                Cell(f"{s.our_median_probes:g}"),
                Cell(duration(s.seconds)),
                Cell(duration(s.our_seconds)),
                _times(s.seconds, s.our_seconds),
            ]
            for s in summaries
        ],
        "Other finders with the same recipe and budget, each in one process",
    )
    return Section(
        "What do other batch size finders answer?",
        "finders",
        [
            table,
            Paragraph(
                "An answer is right if it is at least the batch that was proven to fit and smaller than the "
                "batch that was proven to fail. It is unknown if it is larger than every batch that was "
                "tried. 'Ours' are ftbench's searches of the same limits, with a new process per probe.",
                "small",
            ),
            Details("Every answer of every finder", [_answers(view)]),
            *labels(view, "batch_limit", compares=False),
        ],
    )


def _answers(view: View) -> Table:
    columns = [
        *limit_columns(view),
        Column("budget", numeric=False),
        Column("finder", numeric=False),
        Column("answer"),
        Column("probes"),
        Column("time"),
        Column("time", "times ours"),
    ]
    rows = []
    for limit in (limit for limit in view.limits if limit.found.finders):
        key = [*limit_cells(view, limit), Cell(place_name(limit.place))]
        rows.append(
            [
                *key,
                Cell("ftbench"),
                Cell(limit_text(limit), "proven" if limit.step is not None else ""),
                Cell(count(len(limit.found.probes))),
                Cell(duration(limit.found.seconds)),
                Cell("1"),
            ]
        )
        rows += [
            [
                *key,
                Cell(f.name),
                _answer_cell(limit, f),
                Cell(count(f.probes)),
                Cell(duration(f.seconds)),
                _times(f.seconds, limit.found.seconds),
            ]
            for f in limit.found.finders
        ]
    return Table(columns, rows)


def _answer_cell(limit: Limit, finder: Finder) -> Cell:
    verdict = limit.judge(finder)
    if finder.answer is None:
        return Cell("none", finder.reason or "no reason recorded", "gap")
    return Cell(
        count(finder.answer), VERDICT_TEXT[verdict], "failed" if verdict == "too high" else ""
    )


def _times(seconds: float, ours: float) -> Cell:
    return Cell(number(seconds / ours)) if ours > 0 else gap("not_run")
