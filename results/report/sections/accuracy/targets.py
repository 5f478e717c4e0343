"""Training time until a target accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy.scores import TargetRow, target_rows
from results.analysis.compare import Row
from results.analysis.statistics import Interval
from results.report.charts import Bar, bars
from results.report.document import Block, Cell, Column, Figure, Figures, Paragraph, Table
from results.report.format import duration, percent
from results.report.view import View


def target_blocks(view: View, scored: Sequence[Sequence[Row]]) -> list[Block]:
    """Empty where no task has a target. Of runs that are merged by machine every one that had a target,
    also where another run's accuracies stand."""
    scored = [rows for one in view.merged for rows in one.history] or scored
    found = [targets for rows in scored if (targets := _of_a_comparison(view, rows))]
    if not found:
        return []
    figures = [figure for targets in found for figure in _figures(view, targets)]
    return [
        *([Figures(figures)] if figures else []),
        Paragraph(
            "Until the first evaluation at or above the target; evaluations are left out, the first step "
            "is included. Trainings of different backends did not take turns, so what the machine did in "
            "between is in these seconds.",
            "small",
        ),
        _table(view, [target for targets in found for target in targets]),
    ]


def _of_a_comparison(view: View, rows: Sequence[Row]) -> list[TargetRow]:
    return [
        target
        for r in rows
        for g in r.groups.get("accuracy", [])
        if (info := view.info(g.entries[0].run))
        and (share := info.target_accuracies.get(r.comparison.task))
        for target in target_rows(g, share)
    ]


def _figures(view: View, targets: Sequence[TargetRow]) -> list[Figure]:
    """Per evaluation set, where every seed of every backend reached the target: of the others there is
    no mean, and a chart without them would flatter the rest."""
    figures = []
    for name in dict.fromkeys(t.evaluation_set for t in targets):
        same = [t for t in targets if t.evaluation_set == name]
        items = [bar for t in same if (bar := _bar(view, t))]
        if len(items) == len(same):
            figures.append(
                Figure(
                    f"Training until {percent(same[0].target)} % on {name}: "
                    f"{view.head(same[0].group.comparison)}",
                    bars(items, "training, seconds; one mark per seed"),
                    "; ".join(f"{item.label} {item.text}" for item in items),
                )
            )
    return figures


def _bar(view: View, target: TargetRow) -> Bar | None:
    mean = target.over_seeds
    if mean is None:
        return None
    span = _span(mean.interval)
    return Bar(
        view.title(target.group.backend),
        mean.value,
        duration(mean.value) + (f" ({span})" if span else ""),
        view.colour(target.group.backend),
        max(0.0, mean.interval.low) if mean.interval else None,
        mean.interval.high if mean.interval else None,
        [s for s in target.seconds.values() if s is not None],
    )


def _span(interval: Interval | None) -> str:
    return f"{duration(max(0.0, interval.low))} to {duration(interval.high)}" if interval else ""


def _table(view: View, found: Sequence[TargetRow]) -> Table:
    columns = [
        Column("task", numeric=False, group=True),
        Column("backend", numeric=False),
        Column("evaluation set", numeric=False),
        Column("target", "%"),
        Column("reached", "seeds"),
        Column("training until then", "mean, 95 %"),
        Column("of it the first step"),
    ]
    cells = [
        [
            Cell(view.head(t.group.comparison)),
            Cell(view.title(t.group.backend)),
            Cell(t.evaluation_set),
            Cell(percent(t.target)),
            Cell(f"{sum(s is not None for s in t.seconds.values())} of {len(t.seconds)}"),
            _seconds(t),
            Cell(duration(t.first_step_seconds)),
        ]
        for t in found
    ]
    return Table(columns, cells, "Time to the target accuracy, without evaluation")


def _seconds(target: TargetRow) -> Cell:
    mean = target.over_seeds
    if mean is None:
        reached = [duration(s) for s in target.seconds.values() if s is not None]
        return Cell("not reached by all", ", ".join(reached), "gap")
    return Cell(duration(mean.value), _span(mean.interval))
