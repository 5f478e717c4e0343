"""What do other batch size finders answer? Each answer compared with the proven limit."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.limits import FinderSummary, Limit, finder_summaries
from results.report.charts import Bar, bars
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Figure,
    Figures,
    Paragraph,
    Section,
    Table,
)
from results.report.format import count, duration, gap, listed, number
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
ANSWERS = {"none": "without an answer", "unknown": "unknown"}


def section(view: View) -> Section | None:
    summaries = finder_summaries(view.limits)
    if not summaries:
        return None
    figures = [f for summary in summaries if (f := _figure(view, summary.name))]
    blocks: list[Block] = [
        Paragraph(_sentence(summaries), "lead"),
        *([Figures(figures)] if figures else []),
        _summary_table(summaries),
        Paragraph(
            "An answer is right if it is at least the batch that was proven to fit and smaller than the "
            "batch that was proven to fail. It is unknown if it is larger than every batch that was "
            "tried. 'Ours' are ftbench's searches of the same limits, with a new process per probe.",
            "small",
        ),
        Details("Every answer of every finder", [_answers(view)]),
        *labels(view, "batch_limit", compares=False),
    ]
    return Section("What do other batch size finders answer?", "finders", blocks)


def _sentence(summaries: Sequence[FinderSummary]) -> str:
    """'Of 4 proven limits, accelerate found 0 (2 too low, 1 too high), and doubling 3 (1 too low).'"""
    parts = []
    for s in summaries:
        wrong = [
            f"{count(n)} {ANSWERS.get(answer, answer)}"
            for answer, n in s.answers.items()
            if n and answer != "right"
        ]
        text = f"{s.name} found {count(s.answers['right'])} of {count(s.searches)} proven limits"
        parts.append(f"{text} ({listed(wrong)})" if wrong else text)
    return f"{listed(parts)}."


def _figure(view: View, name: str) -> Figure | None:
    """Each answer of a finder as a share of the proven limit."""
    found = [
        (limit, finder)
        for limit in view.limits
        for finder in limit.found.finders
        if finder.name == name and finder.answer is not None and limit.found.limit
    ]
    items = [_bar(view, limit, finder) for limit, finder in found]
    if not items:
        return None
    chart = bars(items, "answer, % of the proven limit")
    return Figure(name, chart, "; ".join(f"{item.label}: {item.text}" for item in items))


def _bar(view: View, limit: Limit, finder: Finder) -> Bar:
    backend = limit.measurement.job.backend
    answer, proven = finder.answer or 0, limit.found.limit or 1
    where = f"{view.title(backend)}, length {count(limit.row[0])}, {place_name(limit.place)}"
    text = f"{count(answer)} of {limit_text(limit)}: {limit.judge(finder)}"
    return Bar(where, 100 * answer / proven, text, view.colour(backend))


def _summary_table(summaries: Sequence[FinderSummary]) -> Table:
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
    rows = [
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
    ]
    return Table(
        columns, rows, "Other finders with the same recipe and budget, each in one process"
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
