"""The first screen: which backend is fastest, its memory and accuracy, on which data and device."""

from __future__ import annotations

from results.report.cards import card
from results.report.document import Block, Cards, Facts, Link, Paragraph
from results.report.format import count
from results.report.proofs import proof_of_all
from results.report.provenance import described, device_text, precision_words, seed_words, unique
from results.report.sections import equivalence, levers, limits, tuning
from results.report.sections.controls import noise_text
from results.report.sections.overview import (
    overview,
)
from results.report.view import View

KINDS = ("device", "data", "precision")
CERTIFICATE = Link("the certificates", "#equivalence")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")


def first_screen(view: View) -> list[Block]:
    blocks: list[Block] = []
    if view.comparisons:
        blocks.append(Cards([card(view, rows, CERTIFICATE) for rows in view.comparisons]))
    blocks += [*equivalence.first_lines(view), Facts(_where(view))]
    blocks += tuning.first_lines(view)
    blocks += levers.first_lines(view)
    blocks += limits.first_lines(view)
    tables = [overview(view)] if view.comparisons else []
    blocks += tables
    every = [m for run in view.runs for m in run.measurements]
    used = [m for m in every if m.status == "ok"]
    if view.comparisons or not (view.grids or view.tunings):
        tones = {cell.tone for table in tables for row in table.rows for cell in row}
        bold = "Bold is the best among models of the same size. " if "best" in tones else ""
        blocks.append(
            Paragraph(
                "Speeds have Student's 95 % interval over launches, or of one launch the interval of its rounds; "
                f"accuracies have Wilson's. {bold}"
                f"{seed_words(used).capitalize()}; {proof_of_all(view)}.",
                "small",
            )
        )
    if len(used) < len(every):
        blocks.append(
            Paragraph(
                f"{count(len(every) - len(used))} of {count(len(every))} jobs have no figures; "
                "'What was not measured' gives the reasons.",
                "warning",
            )
        )
    return blocks


def _where(view: View) -> list[tuple[str, str]]:
    """Devices, data and precisions, each once, with the runs that they apply to; the A/A pairs."""
    named: dict[tuple[str, str], list[str]] = {}
    for run in view.runs:
        ok = [m for m in run.measurements if m.status == "ok"]
        devices = [run.info.device] if run.info else [m.device for m in run.measurements[:1]]
        precision = ", ".join(sorted({precision_words(m) for m in ok}, key=_most_exact_first))
        for fact in [
            *[("device", device_text(device)) for device in devices],
            *[("data", text) for text in unique(described(m.data) for m in ok if m.data)],
            *([("precision", precision)] if precision else []),
        ]:
            named.setdefault(fact, []).append(run.name)
    facts = [
        (kind, text if len(runs) == len(view.runs) else f"{text} ({', '.join(runs)})")
        for kind in KINDS
        for (about, text), runs in named.items()
        if about == kind
    ]
    return facts + [("A/A pair", noise_text(view, pair)) for pair in view.noise_pairs]


def _most_exact_first(precision: str) -> tuple[int, str]:
    word = precision.split()[0]
    return (PRECISIONS.index(word) if word in PRECISIONS else len(PRECISIONS)), precision
