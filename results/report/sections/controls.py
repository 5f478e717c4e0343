"""Can the clock be trusted? The overhead of each framework's own loop, and the A/A pair."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.controls import NoisePair, Overhead
from results.report.columns import backend_cell, comparison_cells, comparison_columns
from results.report.document import Block, Cell, Column, Listing, Paragraph, Section, Table
from results.report.format import number
from results.report.provenance import labels
from results.report.sections.overview import rate_notes
from results.report.sections.speed.doubts import doubts
from results.report.sections.speed.ratios import ratio_note
from results.report.view import View


def section(view: View) -> Section | None:
    if not view.overheads and not view.noise_pairs:
        return None
    blocks: list[Block] = []
    if view.overheads:
        blocks += [
            _overhead_table(view, view.overheads),
            Paragraph(
                "The control trains on the same batches with the same recipe in the same race, in the "
                "barest loop that the framework allows. The overhead is the time of a step in the "
                "framework's own loop, divided by the time in the bare loop, by launch.",
                "small",
            ),
        ]
    if view.noise_pairs:
        blocks += [
            _noise_table(view, view.noise_pairs),
            Paragraph(
                "One backend takes part in the race twice, so the true ratio is 1. An interval that "
                "misses 1, which happens by chance in one race of 20, says that the other "
                "intervals of this race may be too narrow. It changes no claim.",
                "small",
            ),
        ]
    doubtful = _doubts(view)
    blocks += [Listing(doubtful)] if doubtful else []
    return Section(
        "Can the clock be trusted?", "clock", [*blocks, *labels(view, "throughput", compares=False)]
    )


def _overhead_table(view: View, overheads: Sequence[Overhead]) -> Table:
    columns = [
        *comparison_columns(view),
        Column("backend", numeric=False),
        Column("own loop", "steps/s"),
        Column("bare loop", "steps/s"),
        Column("overhead", "times the bare loop's time"),
        Column("overhead", "ms per step"),
    ]
    rows = [_overhead_cells(view, overhead) for overhead in overheads]
    return Table(columns, rows, "Overhead of the framework's own loop, compared in pairs")


def _overhead_cells(view: View, overhead: Overhead) -> list[Cell]:
    rates = (overhead.framework, overhead.control)
    return [
        *comparison_cells(view, overhead.comparison),
        backend_cell(view, overhead.backend),
        *[Cell(number(rate.steps_per_second), ", ".join(rate_notes(rate))) for rate in rates],
        *_ratio_cells(overhead),
    ]


def _ratio_cells(overhead: Overhead) -> list[Cell]:
    ratio, added = overhead.ratio, overhead.seconds_per_step
    if ratio is None or added is None:
        return [Cell("not raced together", tone="gap")] * 2
    interval = ratio.interval
    if interval and interval.low <= 1 <= interval.high:
        milliseconds = Cell("none shown", tone="gap")  # less than what this race can tell
    else:
        milliseconds = Cell(number(1000 * added))
    return [Cell(number(ratio.value, places=3), ratio_note(ratio, 3)), milliseconds]


def _noise_table(view: View, pairs: Sequence[NoisePair]) -> Table:
    columns = [
        *comparison_columns(view),
        Column("backend, twice", numeric=False),
        Column("ratio"),
        Column("holds 1", numeric=False),
    ]

    def at(pair: NoisePair) -> tuple[str, str, str]:
        comparison = pair.comparison
        return view.origin_name(comparison.run), comparison.task, pair.backend

    ours = [at(pair) for pair in pairs]  # a machine's pairs of two runs need their names
    order = {rows[0].comparison.task: i for i, rows in enumerate(view.comparisons)}
    rows = [
        [
            *comparison_cells(view, pair.comparison),
            backend_cell(
                view, pair.backend, pair.comparison.run if ours.count(at(pair)) > 1 else ""
            ),
            Cell(number(pair.ratio.value, places=3), _pair_note(pair)),
            _holds_one(pair),
        ]
        for pair in sorted(
            pairs,
            key=lambda p: (view.origin_name(p.comparison.run), order.get(p.comparison.task, 0)),
        )
    ]
    return Table(columns, rows, "The same backend against itself")


def _pair_note(pair: NoisePair) -> str:
    note = ratio_note(pair.ratio, 3)
    return f"{note}, disturbed" if pair.own.disturbed or pair.repeat.disturbed else note


def _holds_one(pair: NoisePair) -> Cell:
    if pair.ratio.interval is None:
        return Cell("no interval", tone="gap")
    return Cell("no: intervals of this race may be too narrow" if pair.misses_one else "yes")


def _doubts(view: View) -> list[str]:
    """Of the controls; those of the backends themselves are listed with their speeds."""
    found = []
    for overhead in view.overheads:
        subject = f"{view.head(overhead.comparison)}, {view.title(overhead.backend)}'s bare loop"
        found += doubts(subject, overhead.control)
    for pair in view.noise_pairs:
        subject = f"{view.head(pair.comparison)}, {view.title(pair.backend)} repeated"
        found += doubts(subject, pair.repeat)
        if pair.misses_one:
            found.append(f"{noise_text(view, pair)}.")
    return found


def noise_text(view: View, pair: NoisePair) -> str:
    """'imdb: PyTorch against itself 1.003 (0.991 to 1.015)'."""
    missed = "; it misses 1, so this race's intervals may be too narrow" if pair.misses_one else ""
    return (
        f"{view.head(pair.comparison)}: {view.title(pair.backend)} against itself "
        f"{number(pair.ratio.value, places=3)} ({ratio_note(pair.ratio, 3)}){missed}"
    )
