"""Can the clock be trusted? What each framework's loop costs over its barest one, and how far two
runs of the same thing lie apart."""

from __future__ import annotations

from results.analysis.controls import NoisePair, Tax
from results.report.document import Block, Cell, Column, Listing, Paragraph, Section, Table
from results.report.format import number, percent, span
from results.report.provenance import labels
from results.report.sections.overview import no_interval, rate_notes
from results.report.sections.speed import doubts, ratio_note
from results.report.view import View


def section(view: View) -> Section | None:
    if not view.taxes and not view.noise_pairs:
        return None
    blocks: list[Block] = []
    if view.taxes:
        blocks += [
            _tax_table(view),
            Paragraph(
                "The control trains the same batches by the same recipe in the barest loop that the "
                "framework allows, in the same race. Tax is the time of a step in the framework's "
                "own loop over that of the bare one, from paired windows.",
                "small",
            ),
        ]
    if view.noise_pairs:
        blocks += [
            _noise_table(view),
            Paragraph(
                "One backend takes part twice, as if it were two. Two speeds that differ by less "
                "than the floor, which is the farther end of that pair's interval, are called "
                "equal; without a floor no two are called different.",
                "small",
            ),
        ]
    doubtful = _doubts(view)
    blocks += [Listing(doubtful)] if doubtful else []
    return Section(
        "Can the clock be trusted?", "clock", [*blocks, *labels(view, "throughput", compares=False)]
    )


def _tax_table(view: View) -> Table:
    columns = [
        *view.comparison_columns(),
        Column("backend", numeric=False),
        Column("its own loop", "steps/s"),
        Column("bare loop", "steps/s"),
        Column("tax", "times the bare time"),
        Column("tax", "ms a step"),
    ]
    return Table(
        columns,
        [_tax_cells(view, tax) for tax in view.taxes],
        "What the framework's own loop costs",
    )


def _tax_cells(view: View, tax: Tax) -> list[Cell]:
    return [
        *view.comparison_cells(tax.comparison),
        Cell(view.title(tax.backend), colour=view.colour(tax.backend)),
        *[
            Cell(number(rate.median), ", ".join(rate_notes(rate)))
            for rate in (tax.framework, tax.bare)
        ],
        *_ratio_cells(view, tax),
    ]


def _ratio_cells(view: View, tax: Tax) -> list[Cell]:
    ratio, added = tax.ratio, tax.seconds_per_step
    if ratio is None or added is None:
        return [Cell("not raced together", tone="gap")] * 2
    note = ratio_note(ratio, tax.framework, tax.bare, view.floors.get(tax.comparison), 3)
    return [Cell(number(ratio.value, places=3), note), Cell(number(1000 * added))]


def _noise_table(view: View) -> Table:
    columns = [
        *view.comparison_columns(),
        Column("twice the same", numeric=False),
        Column("ratio"),
        Column("noise floor", "%"),
    ]
    return Table(
        columns,
        [
            [
                *view.comparison_cells(pair.comparison),
                Cell(view.title(pair.backend), colour=view.colour(pair.backend)),
                Cell(number(pair.ratio.value, places=3), _pair_note(pair)),
                Cell("none", tone="gap") if pair.floor is None else Cell(percent(pair.floor - 1)),
            ]
            for pair in view.noise_pairs
        ],
        "How far the same thing lies from itself",
    )


def _pair_note(pair: NoisePair) -> str:
    rounds = len(set(pair.own.turns) & set(pair.again.turns))
    notes = [span(pair.ratio.interval, 3) if pair.ratio.interval else no_interval(rounds)]
    return ", ".join(notes + ["disturbed"] * (pair.own.disturbed or pair.again.disturbed))


def _doubts(view: View) -> list[str]:
    """Of the controls; the backends' own stand with their speeds."""
    found = [
        text
        for tax in view.taxes
        for text in doubts(
            f"{view.head(tax.comparison)}, {view.title(tax.backend)}'s bare loop", tax.bare
        )
    ]
    return found + [
        text
        for pair in view.noise_pairs
        for text in doubts(
            f"{view.head(pair.comparison)}, {view.title(pair.backend)} again", pair.again
        )
    ]


def noise_text(view: View, pair: NoisePair) -> str:
    """'imdb: PyTorch against itself 1.003, so differences below 1.2 % count as none'."""
    floor = (
        "but in fewer than 6 rounds, so there is no floor"
        if pair.floor is None
        else f"so differences below {percent(pair.floor - 1)} % count as none"
    )
    return (
        f"{view.head(pair.comparison)}: {view.title(pair.backend)} against itself "
        f"{number(pair.ratio.value, places=3)}, {floor}"
    )
