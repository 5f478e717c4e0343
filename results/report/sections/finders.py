"""What do other finders answer? Ways to the largest batch, each held against the proof."""

from __future__ import annotations

from results.analysis.limits import Limit, finder_summaries
from results.report.document import Cell, Column, Details, Paragraph, Section, Table
from results.report.format import count, duration, gap, number
from results.report.provenance import labels
from results.report.sections.limits import key_cells, key_columns, limit_text, name
from results.report.view import View
from results.schema import Finder

JUDGED_TEXT = {
    "right": "right",
    "too low": "too low",
    "too high": "too high: it fails",
    "none": "",
    "unknown": "above what was searched",
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
        Column("not judged"),
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
        "Other finders on the same work and budget, each in one process",
    )
    return Section(
        "What do other finders answer?",
        "finders",
        [
            table,
            Paragraph(
                "Right is an answer from the batch that was proven to fit up to the one that was proven "
                "to fail. An answer above all that was searched is not judged. Ours are the searches that "
                "the finder took part in, each probe a fresh process.",
                "small",
            ),
            Details("Every answer of every finder", [_answers(view)]),
            *labels(view, "batch_limit", compares=False),
        ],
    )


def _answers(view: View) -> Table:
    columns = [
        *key_columns(view),
        Column("budget", numeric=False),
        Column("finder", numeric=False),
        Column("answer"),
        Column("probes"),
        Column("time"),
        Column("time", "times ours"),
    ]
    rows = []
    for limit in (limit for limit in view.limits if limit.found.finders):
        key = [*key_cells(view, limit), Cell(name(limit.place))]
        rows.append(
            [
                *key,
                Cell("ftbench"),
                Cell(limit_text(limit), "proven" * (limit.step is not None)),
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
    judged = limit.judged(finder)
    if finder.answer is None:
        return Cell("none", finder.reason or "no reason recorded", "gap")
    return Cell(count(finder.answer), JUDGED_TEXT[judged], "failed" if judged == "too high" else "")


def _times(seconds: float, ours: float) -> Cell:
    return Cell(number(seconds / ours)) if ours > 0 else gap("not_run")
