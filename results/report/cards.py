"""One card per machine and task: who is faster, what it held, how accurate it is, and whether it was the
same work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from results.analysis.compare import Row
from results.report.document import Card, Figure, Link
from results.report.proofs import Standing, badge, standing
from results.report.provenance import (
    described,
    device_text,
    precision_words,
    seed_words,
    unique,
)
from results.report.sections import accuracy, memory, speed
from results.report.sections.verdict import sentence
from results.report.view import View
from results.schema import Measurement

QUESTIONS = {"throughput": "speed", "memory": "memory", "accuracy": "accuracy"}


def card(
    view: View, rows: Sequence[Row], certificate: Link | None = None, links: Sequence[Link] = ()
) -> Card:
    """Without certificates there is no link: there is nothing to read."""
    said = same_work(view, rows)
    verdict, more = headline(sentence(view, rows))
    return Card(
        view.head(rows[0].comparison),
        verdict,
        more,
        said.text,
        said.proof,
        certificate if said.run else None,
        _facts(rows),
        _figures(view, rows),
        links,
    )


def headline(text: str) -> tuple[str, str]:
    """The verdict itself, and what is added to it."""
    text = text[:1].upper() + text[1:]
    ends = [i for i in (text.find(". "), text.find("; ")) if i > 0]
    if not ends:
        return text, ""
    rest = text[min(ends) + 2 :]
    return f"{text[: min(ends)]}.", rest[:1].upper() + rest[1:]


def same_work(view: View, rows: Sequence[Row]) -> Standing:
    """What the certificates prove of the figures of one comparison."""
    return badge(view, {word: _measured(rows, question) for question, word in QUESTIONS.items()})


def same_work_by_question(view: View, rows: Sequence[Row]) -> dict[str, Standing]:
    """The same of each question that has figures, by its word."""
    found = {word: _measured(rows, question) for question, word in QUESTIONS.items()}
    return {word: standing(view, some) for word, some in found.items() if some}


def _measured(rows: Sequence[Row], question: str) -> list[tuple[str, Measurement]]:
    return [
        (entry.run, entry.measurement)
        for row in rows
        for asked, same in row.groups.items()
        for group in same
        if asked == question
        for entry in group.entries
        if entry.measurement.status == "ok"
    ]


def _facts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    used = [m for question in QUESTIONS for _, m in _measured(rows, question)]
    if not used:
        return []
    dates = sorted({m.started_at[:10] for m in used})
    facts = [("device", text) for text in unique(device_text(m.device) for m in used)]
    facts += [("data", text) for text in unique(described(m.data) for m in used if m.data)]
    checkpoints = [m.checkpoint for m in used if m.checkpoint and not m.checkpoint.tokenizer_only]
    models = unique(checkpoint.name for checkpoint in checkpoints)
    batches = unique(f"batch {m.recipe.get('batch_size')}" for m in used)
    lengths = unique(f"length {m.recipe.get('length')}" for m in used)
    words = [*batches, *lengths, *unique(map(precision_words, used)), seed_words(used)]
    facts += [("model", ", ".join(models))] if models else []
    return [*facts, ("recipe", ", ".join(words)), ("date", _span(dates))]


def _span(dates: Sequence[str]) -> str:
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def _figures(view: View, rows: Sequence[Row]) -> list[Figure]:
    """Speed, memory and accuracy, with short titles."""
    found: list[tuple[str, Iterable[Figure]]] = [
        ("Training speed", speed.figures(view, rows)[:1]),
        ("Peak memory", memory.figures(view, rows)),
        ("Accuracy", accuracy.score_figures(view, rows)[:1]),
    ]
    return [
        Figure(_title(title, figure), figure.chart, figure.summary)
        for title, figures in found
        for figure in figures
    ]


def _title(title: str, figure: Figure) -> str:
    """With the evaluation set of an accuracy."""
    return figure.title.partition(":")[0] if title == "Accuracy" else title
