"""How figures changed from run to run on one machine."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.over_runs.history import Moment, Series, history
from results.report.charts import Line, Point, lines
from results.report.columns import backend_cell
from results.report.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Legend,
    Paragraph,
    Section,
    Table,
)
from results.report.format import GIB, number, percent
from results.report.view import View


def section(view: View) -> Section | None:
    figures: list[Figure] = []
    rows: list[list[Cell]] = []
    for merged in view.merged:
        head = view.head(merged.rows[0].comparison)
        for figure, series in history(merged).items():
            figures.append(_figure(view, f"{head}: {_title(figure)}", figure, series))
            rows += [
                [Cell(head), Cell(_title(figure)), *_cells(view, figure, one, before, after)]
                for one in series
                for before, after in zip(one.moments, one.moments[1:], strict=False)
                if after.changed is not False and after.value != before.value
            ]
    if not figures:
        return None
    blocks: list[Block] = [
        Paragraph(
            "One point per run, oldest first. A square is a change beyond the noise: its 95 % interval "
            "and that of the run before do not overlap. Memory has no interval, so every change of it "
            "is listed."
        ),
        Figures(figures),
    ]
    columns = [
        Column("task", numeric=False),
        Column("figure", numeric=False),
        Column("backend", numeric=False),
        Column("date", numeric=False),
        Column("run", numeric=False),
        Column("before"),
        Column("after"),
        Column("what else changed", numeric=False),
    ]
    if rows:
        blocks.append(Table(columns, rows, "Changes"))
    return Section("How did figures change?", "history", blocks)


def _figure(view: View, title: str, figure: str, series: Sequence[Series]) -> Figure:
    scale = _scale(figure)
    order = sorted({(m.started_at, m.run) for one in series for m in one.moments})
    place = {run: i for i, (_, run) in enumerate(order, 1)}
    drawn, points = [], []
    for one in series:
        colour = view.colour(one.backend)
        ys = [m.value * scale for m in one.moments]
        xs = [place[m.run] for m in one.moments]
        drawn.append(Line(view.title(one.backend), xs, ys, colour))
        points += [
            Point(x, y, colour, "square" if m.changed else "dot", f"{m.run}, {m.started_at[:10]}")
            for x, y, m in zip(xs, ys, one.moments, strict=True)
        ]
    changed = sum(bool(m.changed) for one in series for m in one.moments)
    chart = lines(drawn, "runs, oldest first", _title(figure), points=points)
    legend = [Legend(line.label, line.colour) for line in drawn]
    return Figure(title, chart, f"{len(order)} runs, {changed} changes beyond the noise", legend)


def _title(figure: str) -> str:
    return f"{figure}, %" if figure.startswith("accuracy") else figure.replace("bytes", "GiB")


def _scale(figure: str) -> float:
    return 100 if figure.startswith("accuracy") else 1 / GIB if "bytes" in figure else 1


def _cells(view: View, figure: str, one: Series, before: Moment, after: Moment) -> list[Cell]:
    return [
        backend_cell(view, one.backend),
        Cell(after.started_at[:10]),
        Cell(after.run),
        Cell(_value(figure, before)),
        Cell(_value(figure, after)),
        Cell(_versions(view, before, after)),
    ]


def _value(figure: str, moment: Moment) -> str:
    if figure.startswith("accuracy"):
        return percent(moment.value, 2)
    return number(moment.value * _scale(figure))


def _versions(view: View, before: Moment, after: Moment) -> str:
    """'torch 2.12.0 to 2.13.0, ftbench 0.2.0 at 1234 to 0.2.0 at 5678'; empty where only time passed."""
    sides = [
        {
            **moment.versions,
            **({"ftbench": info.ftbench_version} if info and info.ftbench_version else {}),
        }
        for moment in (before, after)
        for info in [view.info(moment.run)]
    ]
    return ", ".join(
        f"{name} {sides[0].get(name, 'absent')} to {sides[1].get(name, 'absent')}"
        for name in sorted(sides[0].keys() | sides[1].keys())
        if sides[0].get(name) != sides[1].get(name)
    )
