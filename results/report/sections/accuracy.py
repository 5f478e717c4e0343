"""How accurate? Scores with intervals, paired tests, and learning curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from results.analysis.accuracy import PairRow, ScoreRow, over_seeds, pair_rows
from results.analysis.compare import Row
from results.analysis.statistics import Estimate, Interval
from results.report.columns import key_cells, key_columns
from results.report.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Legend,
    Listing,
    Paragraph,
    Section,
    Table,
)
from results.report.format import count, duration, gap, number, percent
from results.report.proofs import proof_of_rows
from results.report.provenance import labels, recipe_notes
from results.report.sections.overview import accuracy_places
from results.report.view import View
from results.report.writers.plots import Bar, Line, bars, lines
from results.report.writers.svg import thinned
from results.schema import Accuracy, CurvePoint


def section(view: View) -> Section | None:
    scored = [rows for rows in view.comparisons if any(r.scores for r in rows)]
    if not scored:
        return None
    notes = [note for rows in scored for note in recipe_notes(view, rows, "accuracy")]
    blocks: list[Block] = [
        Figures([f for rows in scored for f in _score_figures(view, rows)]),
        score_table(view, scored),
        Paragraph(
            "The interval of an accuracy is Wilson's 95 % interval for the evaluation set; that of macro "
            "F1 is a bootstrap from the recorded predictions. 'Over seeds' is Student's t interval of "
            "the mean. Training time includes the first step and excludes evaluation.",
            "small",
        ),
    ]
    blocks += [Listing(notes)] if notes else []
    blocks += _pairs(view, scored)
    curves = [f for rows in scored for f in _curve_figures(view, rows)]
    blocks += [Figures(curves)] if curves else []
    return Section("How accurate?", "accuracy", [*blocks, *labels(view, "accuracy")])


def _score_figures(view: View, rows: Sequence[Row]) -> list[Figure]:
    figures = []
    for name in sorted({s.evaluation_set for r in rows for s in r.scores}):
        items = [_score_bar(view, r, s) for r in rows for s in r.scores if s.evaluation_set == name]
        summary = "; ".join(f"{item.label} {item.text}" for item in items)
        figures.append(
            Figure(
                f"Accuracy on {name}: {view.head(rows[0].comparison)}",
                bars(items, "accuracy, %; the axis does not begin at 0", from_zero=False),
                f"{summary} ({proof_of_rows(view, rows)})",
            )
        )
    return figures


def _score_bar(view: View, row: Row, score: ScoreRow) -> Bar:
    interval = score.accuracy_interval
    text = f"{percent(score.accuracy, accuracy_places(score))} % ({_span(interval)})"
    return Bar(
        view.title(row.backend),
        100 * score.accuracy,
        text,
        view.colour(row.backend),
        100 * interval.low,
        100 * interval.high,
    )


def score_table(view: View, scored: Sequence[Sequence[Row]]) -> Table:
    asked = [r for same in scored for r in same if r.status("accuracy") != "not_asked"]
    several = any(len(s.seeds) > 1 for r in asked for s in r.scores)
    over = [Column("over seeds", "%")] if several else []
    columns = [
        *key_columns(view),
        Column("evaluation set", numeric=False),
        Column("examples"),
        Column("accuracy", "%"),
        *over,
        Column("macro F1", "%"),
        *over,
        Column("loss", "nats"),
        Column("seeds"),
        Column("steps"),
        Column("training"),
        Column("first step"),
        Column("evaluation"),
    ]
    rows = []
    for row in asked:
        rows += [[*key_cells(view, row), *_score_cells(s, several)] for s in row.scores] or [
            [
                *key_cells(view, row),
                gap(row.status("accuracy")),
                *[Cell("")] * (len(columns) - len(key_columns(view)) - 1),
            ]
        ]
    return Table(columns, rows)


def _score_cells(s: ScoreRow, several: bool) -> list[Cell]:
    places = accuracy_places(s)
    return [
        Cell(s.evaluation_set),
        Cell(count(s.examples)),
        Cell(percent(s.accuracy, places), _span(s.accuracy_interval)),
        *([_over_seeds(s.accuracy_over_seeds)] if several else []),
        Cell(
            percent(s.macro_f1, places),
            _span(s.macro_f1_interval) if s.macro_f1_interval else "no interval",
        ),
        *([_over_seeds(s.macro_f1_over_seeds)] if several else []),
        Cell(number(s.loss)),
        Cell(", ".join(map(str, s.seeds))),
        Cell(count(s.steps)),
        Cell(duration(s.training_seconds)),
        Cell(duration(s.first_step_seconds)),
        Cell(duration(s.evaluation_seconds)),
    ]


def _over_seeds(interval: Interval | None) -> Cell:
    return Cell(_span(interval)) if interval else Cell("one seed", tone="gap")


def _span(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def _pairs(view: View, scored: Sequence[Sequence[Row]]) -> list[Block]:
    rows = []
    for same in scored:
        head = view.head(same[0].comparison)
        pairs = pair_rows([g for r in same for g in r.groups.get("accuracy", [])])
        for p in pairs:
            rows.append(
                [
                    *_pair_cells(view, head, p, str(p.seed), p.difference),
                    Cell("below 0.001" if p.p_value < 0.001 else number(p.p_value, places=3)),
                    Cell(percent(p.agreement, 2)),
                ]
            )
        for p, estimate, seeds in over_seeds(pairs):
            rows.append(
                [*_pair_cells(view, head, p, f"mean of {seeds}", estimate), Cell(""), Cell("")]
            )
    every = [row for same in scored for row in same]
    if not rows:
        return [
            Paragraph(
                "No paired test: it needs the recorded predictions of two backends on the same examples, "
                "with the same seed.",
                "small",
            )
        ]
    columns = [
        Column("task", numeric=False),
        Column("evaluation set", numeric=False),
        Column("seed"),
        Column("pair", numeric=False),
        Column("difference", "points"),
        Column("McNemar", "p"),
        Column("same prediction", "%"),
    ]
    return [Table(columns, rows, f"Paired on the same examples ({proof_of_rows(view, every)})")]


def _pair_cells(view: View, head: str, p: PairRow, seed: str, difference: Estimate) -> list[Cell]:
    interval = difference.interval
    return [
        Cell(head),
        Cell(p.evaluation_set),
        Cell(seed),
        Cell(f"{view.title(p.first)} minus {view.title(p.second)}"),
        Cell(
            number(100 * difference.value, places=2),
            f"{100 * interval.low:.2f} to {100 * interval.high:.2f}" if interval else "",
        ),
    ]


def _curve_figures(view: View, rows: Sequence[Row]) -> list[Figure]:
    head = view.head(rows[0].comparison)
    trained = [
        (r, a)
        for r in rows
        for g in r.groups.get("accuracy", [])
        for m in g.ok
        if (a := m.accuracy)
    ]
    figures = [
        _step_figure(view, trained, f"Training loss: {head}", "loss, nats", lambda p: p.loss),
        _step_figure(
            view,
            trained,
            f"Gradient norm before clipping: {head}",
            "global norm",
            lambda p: p.gradient_norm,
        ),
    ]
    for name in sorted({name for _, a in trained for name in a.scores}):
        figures.append(_evaluation_figure(view, trained, name, head))
    return [figure for figure in figures if figure]


def _step_figure(
    view: View,
    trained: Sequence[tuple[Row, Accuracy]],
    title: str,
    axis: str,
    value: Callable[[CurvePoint], float | None],
) -> Figure | None:
    series, size = [], 1
    for row, a in trained:
        points = [(p.step, v) for p in a.curve if (v := value(p)) is not None]
        if len(points) > 1:
            xs, ys, size = thinned([x for x, _ in points], [y for _, y in points])
            series.append(Line(view.title(row.backend), xs, ys, view.colour(row.backend)))
    mean = f"; each point is the mean of {size}" if size > 1 else ""
    return _figure(title, series, f"optimizer steps{mean}", axis)


def _evaluation_figure(
    view: View, trained: Sequence[tuple[Row, Accuracy]], name: str, head: str
) -> Figure | None:
    series = []
    for row, a in trained:
        points = [
            (e.training_seconds, 100 * e.scores[name].accuracy)
            for e in a.evaluations
            if name in e.scores
        ]
        if len(points) > 1:
            series.append(
                Line(
                    view.title(row.backend),
                    [x for x, _ in points],
                    [y for _, y in points],
                    view.colour(row.backend),
                )
            )
    return _figure(
        f"Accuracy over training time, {name}: {head}",
        series,
        "training seconds, without evaluation",
        "accuracy, %",
    )


def _figure(title: str, series: Sequence[Line], x_axis: str, y_axis: str) -> Figure | None:
    if not series:
        return None
    summary = "; ".join(f"{s.label} from {number(s.ys[0])} to {number(s.ys[-1])}" for s in series)
    legend = [
        Legend(label, colour)
        for label, colour in dict.fromkeys((s.label, s.colour) for s in series)
    ]
    return Figure(title, lines(series, x_axis, y_axis), f"{y_axis}: {summary}", legend)
