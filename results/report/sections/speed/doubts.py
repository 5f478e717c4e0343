"""Which speeds are doubtful, and why."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import Row
from results.analysis.speed import Rate
from results.report.document import Block, Paragraph
from results.report.format import count, listed, number
from results.report.view import View


def summed_up(rates: Sequence[Rate]) -> list[Block]:
    """'5 of 8 rows are noisy', next to the table whose rows say which."""
    counts = {
        "noisy (the interval is wider than 10 % of the speed)": sum(r.noisy for r in rates),
        "disturbed (other work ran during some windows)": sum(r.disturbed for r in rates),
    }
    found = [
        f"{count(n)} of {count(len(rates))} rows {'is' if n == 1 else 'are'} {word}"
        for word, n in counts.items()
        if n
    ]
    text = f"{listed(found)}: measure again on an idle machine."
    return [Paragraph(text, "warning")] if found else []


def row_doubts(view: View, row: Row) -> list[str]:
    if row.speed is None:
        return []
    subject = f"{view.head(row.comparison)}, {view.title(row.backend)}"
    evaluation = row.speed.evaluation
    return [
        *doubts(subject, row.speed.training),
        *(doubts(f"{subject}, evaluation", evaluation) if evaluation else []),
    ]


def doubts(subject: str, rate: Rate) -> list[str]:
    """What makes a rate doubtful, in sentences."""
    found = []
    if rate.noisy:
        found.append(f"{subject}: noisy, the interval is wider than 10 % of the speed.")
    if rate.disturbed:
        found.append(
            f"{subject}: disturbed in {count(rate.disturbed_windows)} of "
            f"{count(len(rate.windows))} windows: {listed(rate.disturbances)}."
        )
    if rate.short:
        found.append(
            f"{subject}: windows of {number(rate.window_seconds)} s are short for a GPU, because the "
            "synchronisations at their ends count; set window_seconds in [throughput] to "
            f"{rate.shortest_seconds:g} or more."
        )
    if rate.superseded:
        found.append(
            f"{subject}: {count(len({turn for turn, _ in rate.superseded}))} disturbed rounds were "
            "taken again; only the later take counts."
        )
    return found
