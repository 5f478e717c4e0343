"""How accurate? Scores with intervals, paired tests, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy import (
    PairRow,
    ScoreRow,
    TargetRow,
    VerdictRow,
    pair_rows,
    target_rows,
    verdict_rows,
)
from results.analysis.compare import Row
from results.analysis.statistics import Estimate, Interval
from results.report.charts import Bar, bars
from results.report.columns import key_cells, key_columns
from results.report.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Listing,
    Paragraph,
    Section,
    Table,
)
from results.report.format import count, duration, gap, number, percent
from results.report.proofs import proof_of_rows
from results.report.provenance import labels, recipe_notes
from results.report.sections.curves import curve_figures
from results.report.sections.overview import accuracy_places
from results.report.view import View

MOST_LABELS = 10  # a table of more cannot be read


def section(view: View) -> Section | None:
    scored = [rows for rows in view.comparisons if any(r.scores for r in rows)]
    if not scored:
        return None
    notes = [note for rows in scored for note in recipe_notes(view, rows, "accuracy")]
    blocks: list[Block] = [
        Figures([f for rows in scored for f in score_figures(view, rows)]),
        score_table(view, scored),
        Paragraph(
            "The interval of an accuracy is Wilson's 95 % interval for the evaluation set; that of macro "
            "F1 is a bootstrap from the recorded predictions, which also give weighted F1 and the expected "
            "calibration error (15 bins). 'Over seeds' is Student's t interval of "
            "the mean. Training time includes the first step and excludes evaluation.",
            "small",
        ),
    ]
    blocks += [Listing(notes)] if notes else []
    blocks += _pairs(view, scored)
    blocks += _targets(view, scored)
    curves = [f for rows in scored for f in curve_figures(view, rows)]
    blocks += [Figures(curves)] if curves else []
    blocks += confusion_tables(view, scored)
    return Section("How accurate?", "accuracy", [*blocks, *labels(view, "accuracy")])


def score_figures(view: View, rows: Sequence[Row]) -> list[Figure]:
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
        Column("weighted F1", "%"),
        Column("calibration error", "%"),
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
        _share(s.weighted_f1, places),
        _share(s.calibration_error, places),
        Cell(number(s.loss)),
        Cell(", ".join(map(str, s.seeds))),
        Cell(count(s.steps)),
        Cell(duration(s.training_seconds)),
        Cell(duration(s.first_step_seconds)),
        Cell(duration(s.evaluation_seconds)),
    ]


def _share(value: float | None, places: int) -> Cell:
    return Cell("no predictions", tone="gap") if value is None else Cell(percent(value, places))


def _targets(view: View, scored: Sequence[Sequence[Row]]) -> list[Block]:
    found = [
        t
        for rows in scored
        for r in rows
        for g in r.groups.get("accuracy", [])
        if (target := view.target_accuracy(r.comparison))
        for t in target_rows(g, target)
    ]
    if not found:
        return []
    columns = [
        Column("task", numeric=False),
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
            _seconds_to_target(t),
            Cell(duration(t.first_step_seconds)),
        ]
        for t in found
    ]
    return [Table(columns, cells, "Time to the target accuracy, without evaluation")]


def _seconds_to_target(row: TargetRow) -> Cell:
    mean = row.over_seeds
    if mean is None:
        return Cell("not reached by all", tone="gap")
    interval = mean.interval
    spread = f"{duration(max(0.0, interval.low))} to {duration(interval.high)}" if interval else ""
    return Cell(duration(mean.value), spread)


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
    return Cell(_span(interval)) if interval else Cell("one seed", tone="gap")


def _span(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def _pairs(view: View, scored: Sequence[Sequence[Row]]) -> list[Block]:
    rows, verdicts, sentences = [], [], []
    for same in scored:
        comparison, head = same[0].comparison, view.head(same[0].comparison)
        compared = [g for r in same for g in r.groups.get("accuracy", [])]
        for v in verdict_rows(compared, view.accuracy_margin(comparison.run)):
            sentences.append(v.sentence(view.title(v.first), view.title(v.second)))
            verdicts += [_verdict_cells(view, head, v)] if v.accuracy else []
        for p in pair_rows(compared):
            rows.append(
                [
                    *_pair_cells(view, head, p),
                    Cell("below 0.001" if p.p_value < 0.001 else number(p.p_value, places=3)),
                    Cell(percent(p.agreement, 2)),
                ]
            )
    if not rows:
        return [
            Paragraph(
                "No paired test: it needs the recorded predictions of two backends on the same examples, "
                "with the same seed.",
                "small",
            )
        ]
    proof = proof_of_rows(view, [row for same in scored for row in same])
    columns = [
        Column("task", numeric=False),
        Column("evaluation set", numeric=False),
        Column("seed"),
        Column("pair", numeric=False),
        Column("difference", "points"),
        Column("McNemar", "p"),
        Column("same prediction", "%"),
    ]
    return [
        Listing(list(dict.fromkeys(sentences))),
        *_verdict_blocks(verdicts, proof),
        Table(columns, rows, f"Seed by seed, on the same examples ({proof})"),
    ]


def _verdict_blocks(verdicts: list[list[Cell]], proof: str) -> list[Block]:
    if not verdicts:
        return []
    columns = [
        Column("task", numeric=False),
        Column("evaluation set", numeric=False),
        Column("pair", numeric=False),
        Column("seeds"),
        Column("difference", "points"),
        Column("verdict", numeric=False),
        Column("sign-flip test", "p"),
        Column("first is better", "% of seeds"),
        Column("same prediction", "%"),
        Column("between seeds", "%"),
        Column("failed trainings"),
    ]
    return [
        Table(columns, verdicts, f"Over seeds and examples ({proof})"),
        Paragraph(
            "The interval of a difference covers other seeds and other examples. 'equivalent': the "
            "90 % interval lies inside the margin. 'different': the 95 % interval excludes 0 and the "
            "sign-flip test over seeds gives at most 0.05. 'Same prediction' is the share of examples "
            "to which both backends give the same label; 'between seeds' is that share for two seeds "
            "of one backend, so it shows what another seed alone changes. A training failed when it "
            "predicts one label for all examples.",
            "small",
        ),
    ]


def _verdict_cells(view: View, head: str, v: VerdictRow) -> list[Cell]:
    found = v.accuracy
    assert found  # rows without are only in the sentences
    return [
        Cell(head),
        Cell(v.evaluation_set),
        Cell(f"{view.title(v.first)} minus {view.title(v.second)}"),
        Cell(str(found.seeds)),
        _difference(Estimate(found.difference, found.interval)),
        Cell("cannot be told" if found.verdict == "unknown" else found.verdict),
        Cell(number(found.p_value, places=3)),
        Cell(percent(found.first_better, 0), _span(found.first_better_interval)),
        Cell(percent(v.agreement, 2)),
        Cell(" and ".join("-" if a is None else percent(a, 2) for a in v.agreement_between_seeds)),
        Cell(" and ".join(map(str, v.collapsed))),
    ]


def _pair_cells(view: View, head: str, p: PairRow) -> list[Cell]:
    return [
        Cell(head),
        Cell(p.evaluation_set),
        Cell(str(p.seed)),
        Cell(f"{view.title(p.first)} minus {view.title(p.second)}"),
        _difference(p.difference),
    ]


def _difference(difference: Estimate) -> Cell:
    interval = difference.interval
    return Cell(
        number(100 * difference.value, places=2),
        f"{100 * interval.low:.2f} to {100 * interval.high:.2f}" if interval else "",
    )
