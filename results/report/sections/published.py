"""How the run's accuracies compare with published ones, and why they may differ.

Shown for real data only. The differences in settings are read from the records; none is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy.scores import ScoreRow
from results.analysis.compare import Row
from results.analysis.reference import PublishedScores, published_scores
from results.report.document import Block, Cell, Column, Details, Listing, Paragraph, Section, Table
from results.report.format import count, gap, number, percent
from results.report.provenance import checkpoint_text
from results.report.sections.overview import accuracy_places
from results.report.view import View
from results.schema import Measurement


def section(view: View) -> Section | None:
    blocks: list[Block] = []
    for rows in view.comparisons:
        real = [r for r in rows if r.scores and (data := _trained(r).data) and not data.generated]
        published = [p for p in published_scores() if p.task == rows[0].comparison.task]
        if real and published:
            blocks += _compared(view, real, published)
    if not blocks:
        return None
    blocks.append(
        Paragraph(
            "Published figures are quoted from their sources and were not measured here.",
            "small",
        )
    )
    return Section("How this compares with published figures", "published", blocks)


def _compared(view: View, rows: Sequence[Row], published: Sequence[PublishedScores]) -> list[Block]:
    sets = sorted({s.evaluation_set for r in rows for s in r.scores})
    columns = [
        Column("model", numeric=False),
        *[Column(name, "accuracy, %") for name in sets],
        Column("parameters", "M"),
        Column("trained on", "examples"),
        Column("epochs"),
        Column("length", "tokens"),
        Column("batch"),
        Column("source", numeric=False),
    ]
    table = [_own_cells(view, r, sets) for r in rows] + [_known_cells(p, sets) for p in published]
    settings = [f"this run, {view.title(r.backend)}: {_setting(r)}" for r in rows]
    settings.append(f"the published ones: {_their_setting(published)}")
    head = view.head(rows[0].comparison)
    return [
        Table(
            columns,
            table,
            f"{head}: this run, and published figures",
        ),
        Details(f"Settings that may explain the differences: {head}", [Listing(settings)]),
    ]


def _own_cells(view: View, row: Row, sets: Sequence[str]) -> list[Cell]:
    m, by_set = _trained(row), {s.evaluation_set: s for s in row.scores}
    size, recipe = _parameters(m), m.recipe
    return [
        Cell(f"this run, {view.title(row.backend)}", colour=view.colour(row.backend)),
        *[_own_score(by_set[name]) if name in by_set else gap("not_run") for name in sets],
        Cell(number(size)) if size else gap(None),
        Cell(count(m.data.train_examples)) if m.data else gap(None),
        Cell(_epochs(recipe)),
        Cell(str(recipe.get("length"))),
        Cell(str(recipe.get("batch_size"))),
        Cell("measured here"),
    ]


def _own_score(score: ScoreRow) -> Cell:
    interval = score.accuracy_interval
    return Cell(
        percent(score.accuracy, accuracy_places(score)),
        f"{percent(interval.low)} to {percent(interval.high)}",
    )


def _known_cells(p: PublishedScores, sets: Sequence[str]) -> list[Cell]:
    def stated(value: int | None) -> Cell:
        return gap("not stated") if value is None else Cell(count(value))

    scores = [
        Cell(percent(p.scores[name], 2)) if name in p.scores else gap("not stated") for name in sets
    ]
    return [
        Cell(p.model),
        *scores,
        stated(p.parameters),
        stated(p.training_examples),
        stated(p.epochs),
        stated(p.length),
        stated(p.batch_size),
        Cell(p.source),
    ]


def _trained(row: Row) -> Measurement:
    return next(m for g in row.groups["accuracy"] for m in g.ok)


def _parameters(m: Measurement) -> float | None:
    """Millions."""
    value = (m.effective or {}).get("parameters")
    return value / 1e6 if value else None


def _epochs(recipe: dict[str, object]) -> str:
    steps = recipe.get("steps")
    return f"{steps} steps" if steps else str(recipe.get("epochs"))


def _setting(row: Row) -> str:
    """What this run did: 'trained on 10,000 examples (...), length 256, 1 epoch, ...'."""
    m = _trained(row)
    epochs = _epochs(m.recipe)
    epochs += "" if "steps" in epochs else " epoch" if epochs == "1" else " epochs"
    parts = []
    if m.data:
        parts.append(f"trained on {count(m.data.train_examples)} examples ({m.data.description})")
    parts += [f"length {m.recipe.get('length')}", epochs]
    if size := _parameters(m):
        parts.append(f"{number(size)} M parameters")
    if m.checkpoint:
        parts.append(f"starting weights {checkpoint_text(m.checkpoint)}")
    return ", ".join(parts)


def _their_setting(known: Sequence[PublishedScores]) -> str:
    """The same for the published ones, from the least to the most."""
    words = {
        "training_examples": "training examples",
        "length": "tokens of length",
        "epochs": "epochs",
        "parameters": "M parameters",
        "batch_size": "examples a batch",
    }
    parts = []
    for name, unit in words.items():
        values = sorted({v for p in known if (v := getattr(p, name)) is not None})
        if values:
            between = (
                count(values[0])
                if len(values) == 1
                else f"{count(values[0])} to {count(values[-1])}"
            )
            parts.append(f"{between} {unit}")
    return f"{', '.join(parts)}, as far as their sources state"
