"""How far can predictions be trusted? What was predicted, and how it compares with measurements."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.limits import length_of, place_of, work_of
from results.report.columns import backend_cell
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Facts,
    Listing,
    Paragraph,
    Section,
    Table,
)
from results.report.format import count, gibibytes, listed
from results.report.provenance import commands, unique
from results.report.sections.limits.grid import place_name, place_phrase
from results.report.sections.predictions.errors import error_blocks, verdict
from results.report.view import View
from results.schema import Prediction


def section(view: View) -> Section | None:
    predictions, cases = view.predictions, view.cases
    if not predictions and not cases:
        return None
    blocks: list[Block] = [*verdict(cases), *_subject(view, predictions)]
    if cases:
        blocks += error_blocks(view, cases)
    if predictions:
        blocks += [
            *_sentences(view, [p for p in predictions if p.limits]),
            _peaks(view, predictions),
        ]
    return Section("How far can predictions be trusted?", "predictions", [*blocks, *_labels(view)])


def _subject(view: View, predictions: Sequence[Prediction]) -> list[Block]:
    """Which figures are predictions."""
    limits = [(p, limit) for p in predictions for limit in p.limits]
    if not limits:
        return []
    places = unique(place_name(place_of(p, limit)) for p, limit in limits)
    works = unique(work_of(p).checkpoint for p, _ in limits)
    backends = unique(view.title(p.backend) for p, _ in limits)
    lengths = [count(length) for length in sorted({length_of(p) for p, _ in limits})]
    text = (
        f"the largest batch on {listed(places)}, of {listed(works)} with {listed(backends)}, at "
        f"{'length' if len(lengths) == 1 else 'lengths'} {listed(lengths)}. Nothing was trained there."
    )
    return [Paragraph(text, "lead", "What is predicted")]


def sentence(view: View, prediction: Prediction) -> str:
    """'bert-base, fp32, training, length 512, PyTorch: about 21 on a T4 (19 to 23), ...'."""
    assumed = "assumed " if prediction.assumed else ""
    limits = [
        f"{count(limit.limit)} {place_phrase(place_of(prediction, limit))} "
        f"({assumed}{count(limit.low)} to {count(limit.high)})"
        for limit in prediction.limits
    ]
    head = f"{work_of(prediction).text}, length {length_of(prediction)}"
    return f"{head}, {view.title(prediction.backend)}: about {', '.join(limits)}"


def _sentences(view: View, predictions: Sequence[Prediction]) -> list[Block]:
    """Folded: the page of the largest batch has them as a table."""
    if not predictions:
        return []
    sentences = unique(sentence(view, p) for p in predictions)
    blocks: list[Block] = [
        Paragraph(f"Predicted limits, with {_ranges(predictions)}:"),
        Listing(sentences),
    ]
    skipped = unique(f"{name} ({why})" for p in predictions for name, why in p.left_out.items())
    if skipped:
        blocks.append(Paragraph(f"Skipped: {'; '.join(skipped)}.", "small"))
    return [Details("Every predicted limit, in words", blocks)]


def _ranges(predictions: Sequence[Prediction]) -> str:
    """What the parentheses hold; each assumed range says so itself."""
    unsupported = "range that no measured case supports"
    if all(p.assumed for p in predictions):
        return f"a {unsupported}"
    intervals = "their 95 % intervals"
    if any(p.assumed for p in predictions):
        return f"{intervals}, or an assumed {unsupported}"
    return intervals


def _peaks(view: View, predictions: Sequence[Prediction]) -> Details:
    columns = [
        Column("work", numeric=False, group=True),
        Column("on", numeric=False, group=True),
        Column("backend", numeric=False),
        Column("length", "tokens"),
        Column("batch"),
        Column("predicted peak", "GiB"),
        Column("its parts", "GiB", numeric=False),
    ]
    rows = [_peak_cells(view, p) for p in predictions]
    return Details("Predicted peaks and their parts", [Table(columns, rows)])


def _peak_cells(view: View, p: Prediction) -> list[Cell]:
    assumed = "assumed " if p.assumed else ""
    span = f"{assumed}{gibibytes(p.peak_low_bytes)} to {gibibytes(p.peak_high_bytes)}"
    return [
        Cell(work_of(p).text),
        Cell(p.device.upper()),
        backend_cell(view, p.backend),
        Cell(count(length_of(p))),
        Cell(str(p.recipe.get("batch_size", ""))),
        Cell(gibibytes(p.peak_bytes), span, "predicted"),
        Cell(", ".join(f"{name} {gibibytes(size)}" for name, size in p.parts.items())),
    ]


def _labels(view: View) -> list[Block]:
    traced = [(c.backend, c.versions) for c in view.cases if c.versions]
    traced += [(p.backend, p.versions) for p in view.predictions]
    versions = {
        view.title(backend): ", ".join(f"{k} {v}" for k, v in sorted(own.items()))
        for backend, own in traced
    }
    words = unique(work_of(p).precision for p in view.predictions)
    facts = [Facts(list(versions.items()))] if versions else []
    return [
        Paragraph(" \u00b7 ".join(["Predicted without training", *words]), "small"),
        Details("Versions, and the command that repeats it", [*facts, *commands(view.runs)]),
    ]
