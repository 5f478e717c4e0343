"""How accurate? Scores with intervals, paired tests, and learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from results.analysis.accuracy.scores import ScoreRow
from results.analysis.compare import Row
from results.report.charts import Bar, bars
from results.report.document import (
    Block,
    Details,
    Figure,
    Figures,
    Listing,
    Paragraph,
    Section,
)
from results.report.format import percent
from results.report.provenance import labels, recipe_notes
from results.report.sections.accuracy.curves import curve_figures
from results.report.sections.accuracy.pairs import pair_blocks
from results.report.sections.accuracy.tables import (
    confusion_tables,
    interval_text,
    score_table,
)
from results.report.sections.accuracy.targets import target_blocks
from results.report.sections.overview import accuracy_places
from results.report.view import View
from results.schema import Measurement

FEW_TABLES = 2  # of confused labels that are not folded


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
            "the mean. Training time includes the first step and excludes evaluation and checkpoints.",
            "small",
        ),
    ]
    blocks += [Listing(notes)] if notes else []
    blocks += random_note(m for rows in scored for r in rows for m in r.measurements)
    blocks += stop_notes([m for rows in scored for r in rows for m in r.measurements])
    blocks += pair_blocks(view, scored)
    blocks += target_blocks(view, scored)
    curves = [f for rows in scored for f in curve_figures(view, rows)]
    blocks += [Figures(curves)] if curves else []
    confused = confusion_tables(view, scored)
    fold = len(confused) > FEW_TABLES
    blocks += [Details("Which labels were predicted for which", confused)] if fold else confused
    return Section("How accurate?", "accuracy", [*blocks, *labels(view, "accuracy")])


def random_note(measurements: Iterable[Measurement]) -> list[Block]:
    """Says which accuracies come from random weights."""
    random = {m.checkpoint.name for m in measurements if m.checkpoint and m.checkpoint.random}
    text = (
        f"Random weights ({', '.join(sorted(random))}): these accuracies show what the model learns from "
        "this data alone, and are not those of a pretrained checkpoint."
    )
    return [Paragraph(text, "warning")] if random else []


def stop_notes(measurements: Sequence[Measurement]) -> list[Block]:
    """Says which trainings ended early, and which were stopped and continued from a checkpoint."""
    early = [
        f"{m.job.id} after step {m.accuracy.steps}"
        for m in measurements
        if m.accuracy and m.accuracy.stopped_early
    ]
    resumed = [
        f"{m.job.id} after step {' and '.join(map(str, m.accuracy.resumed_at_steps))}"
        for m in measurements
        if m.accuracy and m.accuracy.resumed_at_steps
    ]
    lines = []
    if early:
        lines.append(
            f"Stopped early, because evaluations no longer improved (patience): {', '.join(early)}."
        )
    if resumed:
        lines.append(
            f"Stopped and continued from a checkpoint: {', '.join(resumed)}. Their training time "
            "includes the first step after each stop, which may compile again."
        )
    return [Paragraph(line, "small") for line in lines]


def score_figures(view: View, rows: Sequence[Row]) -> list[Figure]:
    figures = []
    for name in sorted({s.evaluation_set for r in rows for s in r.scores}):
        items = [_score_bar(view, r, s) for r in rows for s in r.scores if s.evaluation_set == name]
        summary = "; ".join(f"{item.label} {item.text}" for item in items)
        figures.append(
            Figure(
                f"Accuracy on {name}: {view.head(rows[0].comparison)}",
                bars(items, "accuracy, %; the axis does not begin at 0", from_zero=False),
                summary,
            )
        )
    return figures


def _score_bar(view: View, row: Row, score: ScoreRow) -> Bar:
    interval = score.accuracy_interval
    text = f"{percent(score.accuracy, accuracy_places(score))} % ({interval_text(interval)})"
    return Bar(
        view.title(row.backend),
        100 * score.accuracy,
        text,
        view.colour(row.backend),
        100 * interval.low,
        100 * interval.high,
    )
