"""Scores of every backend, and which labels it takes for which."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy.scores import ScoreRow
from results.analysis.compare import Row
from results.analysis.statistics import Estimate, Interval
from results.report.columns import key_cells, key_columns
from results.report.document import (
    Block,
    Cell,
    Column,
    Table,
)
from results.report.format import count, duration, gap, number, percent
from results.report.sections.overview import accuracy_places, metric_names
from results.report.view import View

MOST_LABELS = 10  # a table of more cannot be read


def score_table(view: View, scored: Sequence[Sequence[Row]]) -> Table:
    asked = [r for same in scored for r in same if r.status("accuracy") != "not_asked"]
    several = any(len(s.seeds) > 1 for r in asked for s in r.scores)
    metrics = metric_names(asked)
    over = [Column("over seeds", "%")] if several else []
    columns = [
        *key_columns(view),
        Column("evaluation set", numeric=False),
        Column("accuracy", "%"),
        *over,
        Column("macro F1", "%, over seeds" if several else "%"),
        Column("weighted F1", "%"),
        Column("calibration error", "%"),
        Column("loss", "nats"),
        *(Column(name, "mean, 95 %" if several else "") for name in metrics),
        Column("seeds"),
        Column("training", "not raced"),
        Column("evaluation", "not raced"),
    ]
    rows = []
    for row in asked:
        rows += [
            [*key_cells(view, row), *_score_cells(s, several, metrics)] for s in row.scores
        ] or [
            [
                *key_cells(view, row),
                gap(row.status("accuracy")),
                *[Cell("")] * (len(columns) - len(key_columns(view)) - 1),
            ]
        ]
    return Table(columns, rows)


def _score_cells(s: ScoreRow, several: bool, metrics: Sequence[str]) -> list[Cell]:
    places = accuracy_places(s)
    return [
        Cell(s.evaluation_set, f"{count(s.examples)} examples"),
        Cell(percent(s.accuracy, places), interval_text(s.accuracy_interval)),
        *([_over_seeds(s.accuracy_over_seeds)] if several else []),
        Cell(percent(s.macro_f1, places), _f1_spread(s, several)),
        _share(s.weighted_f1, places),
        _share(s.calibration_error, places),
        Cell(number(s.loss)),
        *(_metric(s.metrics.get(name)) for name in metrics),
        Cell(count(len(s.seeds)), f"{' to '.join(map(count, s.steps))} steps"),
        Cell(duration(s.training_seconds), f"first step {duration(s.first_step_seconds)}"),
        Cell(duration(s.evaluation_seconds)),
    ]


def _f1_spread(s: ScoreRow, several: bool) -> str:
    if several:
        return _over_seeds(s.macro_f1_over_seeds).text
    return interval_text(s.macro_f1_interval) if s.macro_f1_interval else "no interval"


def _share(value: float | None, places: int) -> Cell:
    return Cell("no predictions", tone="gap") if value is None else Cell(percent(value, places))


def _metric(value: Estimate | None) -> Cell:
    if value is None:
        return gap("not_asked")
    over = value.interval
    return Cell(f"{value.value:.4f}", f"{over.low:.4f} to {over.high:.4f}" if over else "")


def confusion_tables(view: View, scored: Sequence[Sequence[Row]]) -> list[Block]:
    """Per backend and evaluation set: which labels are taken for which, mean counts over seeds."""
    tables: list[Block] = []
    for row, s in ((r, s) for rows in scored for r in rows for s in r.scores):
        if s.confusion is None or len(s.confusion) > MOST_LABELS:
            continue
        names = _label_names(row, len(s.confusion))
        columns = [Column("label", numeric=False), *(Column(f"as {name}") for name in names)]
        cells = [
            [Cell(name), *(Cell(number(float(count))) for count in counts)]
            for name, counts in zip(names, s.confusion, strict=True)
        ]
        head = f"{view.title(row.backend)} on {s.evaluation_set}: {view.head(row.comparison)}"
        tables.append(Table(columns, cells, f"Predicted labels, examples: {head}"))
    return tables


def _label_names(row: Row, count: int) -> list[str]:
    data = next((m.data for g in row.groups.get("accuracy", []) for m in g.ok if m.data), None)
    names = data.label_names if data else []
    return names if len(names) == count else [str(i) for i in range(count)]


def _over_seeds(interval: Interval | None) -> Cell:
    return Cell(interval_text(interval)) if interval else Cell("one seed", tone="gap")


def interval_text(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"
