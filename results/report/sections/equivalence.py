"""Is it the same work? Every check of every certificate, and the difference of the losses by step."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.proof import (
    NOT_PROVEN,
    PROVEN,
    loss_bound,
    origin,
    pair_title,
    scientific,
)
from results.report.charts import Line, lines
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Figure,
    Figures,
    Legend,
    Listing,
    Paragraph,
    Section,
    Table,
)
from results.report.format import count, percent
from results.report.proofs import proof_of
from results.report.view import Run, View
from results.schema import PLAIN, Certificate, Check

KINDS = {"absolute": "", "relative": "relative", "share": "%"}
BOUNDS = {"same": "the same", "some": "some steps, not all"}


def first_lines(view: View) -> list[Block]:
    """The report's first lines: one per task that has traces."""
    found: list[Block] = []
    for run in view.runs:
        works = [(run.name, m) for m in run.measurements if m.job.change in (None, PLAIN)]
        traced = dict.fromkeys(m.job.task for _, m in works if m.job.question == "equivalence")
        for task in traced:
            text = proof_of(view, [(name, m) for name, m in works if m.job.task == task])
            proven = text.startswith(PROVEN)
            if text == NOT_PROVEN:
                text += ": it takes the traces of two backends"
            found.append(
                Paragraph(f"{text}.", "lead" if proven else "failed", _head(view, run, task))
            )
    return found


def section(view: View) -> Section | None:
    certified = [(run, c) for run in view.runs for c in run.certificates]
    if not certified:
        return None
    blocks: list[Block] = [_figures(view, certified), _summary(view, certified)]
    for run, certificate in certified:
        title = f"{_head(view, run, _work(certificate))}, {pair_title(certificate, view.titles)}"
        inner = _certificate(view, run, certificate)
        # What fails is not folded away.
        blocks += [Details(f"Every check: {title}", inner)] if certificate.holds else inner
    return Section("Is it the same work?", "equivalence", blocks)


def _summary(view: View, certified: Sequence[tuple[Run, Certificate]]) -> Table:
    """One row per certificate."""
    columns = [
        Column("work", numeric=False),
        Column("backends", numeric=False),
        Column("steps"),
        Column("largest difference of the losses", "nats"),
        Column("bound", "nats"),
        Column("checks that hold"),
        Column("verdict", numeric=False),
    ]
    rows = [
        [
            Cell(_head(view, run, _work(c))),
            Cell(pair_title(c, view.titles)),
            Cell(count(c.steps)),
            Cell(scientific(max(c.loss_differences)) if c.loss_differences else "none recorded"),
            Cell(loss_bound([c])),
            Cell(f"{sum(check.passed for check in c.checks)} of {len(c.checks)}"),
            Cell("the same work") if c.holds else Cell(c.verdict, tone="failed"),
        ]
        for run, c in certified
    ]
    return Table(columns, rows, "All certificates")


def _certificate(view: View, run: Run, c: Certificate) -> list[Block]:
    head = f"{_head(view, run, _work(c))}, {pair_title(c, view.titles)}"
    blocks: list[Block] = [Paragraph(f"{c.verdict}.", "" if c.holds else "failed", head)]
    if c.likely_cause:
        blocks.append(Paragraph(f"Likely cause: {c.likely_cause}.", "failed"))
    derivation = origin(c, view.titles)
    comparison = (
        "element by element"
        if c.weights_compared == "exact"
        else "through sketches, whose norms are right to about 10 %"
    )
    notes = [derivation] if derivation else []
    notes += [
        f"gradients were clipped in {count(c.clipped_steps)} of {count(c.steps)} steps",
        f"weights were compared {comparison}",
        *c.notes,
    ]
    for side in (c.first, c.second):
        versions = ", ".join(f"{name} {version}" for name, version in sorted(side.versions.items()))
        notes.append(f"{view.title(side.backend)} on {side.device}: {versions}")
    return [*blocks, checks_table([c]), Listing(notes)]


def checks_table(certificates: Sequence[Certificate]) -> Table:
    return Table(
        [
            Column("check", numeric=False),
            Column("worst difference"),
            Column("bound"),
            Column("outcome", numeric=False),
            Column("where", numeric=False),
        ],
        [
            [
                Cell(check.name),
                Cell(_amount(check, check.worst)),
                Cell(_bound(check)),
                _outcome(check),
                Cell(check.where or ""),
            ]
            for c in certificates
            for check in c.checks
        ],
    )


def _work(certificate: Certificate) -> str:
    """'imdb, bf16, accumulation 1'; fp32 is not mentioned."""
    precision = certificate.recipe.get("precision", "fp32")
    return ", ".join(
        [
            certificate.task,
            *([] if precision == "fp32" else [str(precision)]),
            f"accumulation {certificate.recipe.get('accumulation')}",
        ]
    )


def _outcome(check: Check) -> Cell:
    if check.passed:
        return Cell("holds")
    at = f" from step {check.step} on" if check.step else ""
    return Cell(f"fails{at}", tone="failed")


def _amount(check: Check, value: float | None) -> str:
    if value is None:
        return "not a number"
    if check.kind == "same":
        return "none" if value == 0 else f"{value:.0f} differ"
    if check.kind == "some":
        return f"in {percent(value, 0)} % of steps"
    return f"{percent(value, 2)} %" if check.kind == "share" else scientific(value)


def _bound(check: Check) -> str:
    if check.kind in BOUNDS:
        return BOUNDS[check.kind]
    of = f"{KINDS[check.kind]}{', derived' if check.derived else ''}".removeprefix(", ")
    if check.kind == "share":
        return f"{percent(check.bound)} {of}"
    return f"{scientific(check.bound)} {of}".strip()


def _figures(view: View, certified: Sequence[tuple[Run, Certificate]]) -> Figures:
    """One per precision: on the scale of a reduced one, fp32's differences would be invisible."""
    words = dict.fromkeys(c.recipe.get("precision") for _, c in certified)
    return Figures(
        [
            _figure(
                view,
                [(run, c) for run, c in certified if c.recipe.get("precision") == word],
                f" in {word}" if len(words) > 1 else "",
            )
            for word in words
        ]
    )


def _figure(view: View, certified: Sequence[tuple[Run, Certificate]], where: str) -> Figure:
    series = [
        Line(
            _head(view, run, _work(c)),
            list(range(1, len(c.loss_differences) + 1)),
            [difference * 1e6 for difference in c.loss_differences],
            i,
        )
        for i, (run, c) in enumerate(certified)
    ]
    worst = max((max(line.ys, default=0.0) for line in series), default=0.0)
    return Figure(
        f"Difference of the losses{where}",
        lines(series, "optimizer steps", "difference, millionths"),
        f"at most {scientific(worst / 1e6)} nats at any step",
        [Legend(line.label, line.colour) for line in series],
    )


def _head(view: View, run: Run, text: str) -> str:
    return f"{text} ({run.name})" if view.several_runs else text
