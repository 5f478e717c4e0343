"""Two backends compared on the same examples: verdicts, and every seed."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy.pairs import PairRow, VerdictRow, pair_rows, verdict_rows
from results.analysis.compare import Row
from results.analysis.statistics import Estimate
from results.report.document import (
    Block,
    Cell,
    Column,
    Listing,
    Paragraph,
    Table,
)
from results.report.format import number, percent
from results.report.sections.accuracy.tables import interval_text
from results.report.view import View
from results.schema import DEFAULT_MARGIN


def sentences(view: View, rows: Sequence[Row]) -> list[str]:
    """The verdict on every two backends of one comparison."""
    return [v.sentence(view.title(v.first), view.title(v.second)) for v in verdicts(view, rows)]


def verdicts(view: View, rows: Sequence[Row]) -> list[VerdictRow]:
    compared = [g for r in rows for g in r.groups.get("accuracy", [])]
    # Of the run itself: a comparison that was merged by machine goes by the machine's name.
    info = view.info(compared[0].entries[0].run) if compared else None
    return verdict_rows(compared, info.accuracy_margin if info else DEFAULT_MARGIN)


def pair_blocks(view: View, scored: Sequence[Sequence[Row]]) -> list[Block]:
    rows, cells, sentences = [], [], []
    for same in scored:
        head = view.head(same[0].comparison)
        compared = [g for r in same for g in r.groups.get("accuracy", [])]
        for v in verdicts(view, same):
            sentences.append(v.sentence(view.title(v.first), view.title(v.second)))
            cells += [_verdict_cells(view, head, v)] if v.accuracy else []
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
    columns = [
        Column("task", numeric=False, group=True),
        Column("evaluation set", numeric=False),
        Column("seed"),
        Column("pair", numeric=False),
        Column("difference", "points"),
        Column("McNemar", "p"),
        Column("same prediction", "%"),
    ]
    return [
        Listing(list(dict.fromkeys(sentences))),
        *_verdict_blocks(cells),
        Table(columns, rows, "Seed by seed, on the same examples"),
    ]


def _verdict_blocks(verdicts: list[list[Cell]]) -> list[Block]:
    if not verdicts:
        return []
    columns = [
        Column("task", numeric=False, group=True),
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
        Table(columns, verdicts, "Over seeds and examples"),
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
        Cell(percent(found.first_better, 0), interval_text(found.first_better_interval)),
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
