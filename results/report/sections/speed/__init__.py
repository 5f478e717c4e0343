"""How fast? Training and evaluation, with every raw window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from results.analysis.compare import Row, peers, races
from results.analysis.speed import Rate, SpeedRow
from results.analysis.verdict import claims_text
from results.report.charts import Bar, bars
from results.report.columns import key_cells, key_columns
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Figure,
    Figures,
    Listing,
    Paragraph,
    Section,
    Table,
)
from results.report.format import decimals, gap, millions, number, percent, span
from results.report.provenance import conditions_blocks, labels, recipe_notes
from results.report.sections.overview import rate_cell, speed_gap, speed_tone
from results.report.sections.speed.doubts import row_doubts, summed_up
from results.report.sections.speed.ratios import not_raced_together, ratio_to_slowest
from results.report.sections.speed.tables import evaluation_table, windows_table
from results.report.sections.verdict import race_verdicts
from results.report.view import View


def section(view: View) -> Section | None:
    """The claims, and what they are based on."""
    found = figures_section(view)
    claims = [
        Paragraph(f"{verdict.sentence(view.titles)}.", head=head)
        for head, verdict in race_verdicts(view)
    ]
    return found and replace(found, blocks=[*claims, *found.blocks])


def figures_section(view: View) -> Section | None:
    """The section without the claims, for a page that begins with them."""
    timed = [rows for rows in view.comparisons if any(r.speed for r in rows)]
    if not timed:
        return None
    notes = [note for rows in timed for note in recipe_notes(view, rows, "throughput")]
    doubts = [text for rows in timed for r in rows if r.speed for text in row_doubts(view, r)]
    blocks: list[Block] = [
        Figures([figure for rows in timed for figure in figures(view, rows)]),
        training_table(view, timed),
        *summed_up([r.speed.training for rows in timed for r in rows if r.speed]),
        *conditions_blocks(view, timed),
        Paragraph(
            "Steps are executed optimizer steps; tokens exclude padding. 'Times as fast' compares "
            "samples per second within one race: the ratio in every launch, with Student's t "
            "interval over launches. One launch has the exact interval of its rounds' median, "
            "which does not tell how launches differ. MFU is the model's FLOP/s on tokens, "
            "divided by the matrix multiplication rate that the same run measured in the same "
            "precision; 'with padding' also counts padding.",
            "small",
        ),
    ]
    if text := claims_text(race_verdicts(view)):
        blocks.append(Paragraph(text, "small"))
    notes += [*doubts, *not_raced_together(view)]
    blocks += [Listing(notes)] if notes else []
    blocks += [
        *evaluation_table(view, timed),
        Details("Every window, in steps/s", [windows_table(view, timed)]),
    ]
    return Section("How fast?", "speed", [*blocks, *labels(view, "throughput")])


def figures(view: View, rows: Sequence[Row]) -> list[Figure]:
    """The chart of one comparison's training speeds; empty where there are none."""
    found = races([row for row in rows if row.speed])
    return [_figure(view, race, len(found) > 1) for race in found]


def _figure(view: View, rows: Sequence[Row], sized: bool) -> Figure:
    """Models of one size: the bar of a far smaller one would hide how the others differ."""
    size = f", {millions(rows[0].model_size)} parameters" if sized else ""
    items = [_bar(view, r, r.speed.training) for r in rows if r.speed]
    summary = "; ".join(f"{item.label} {item.text}" for item in items)
    return Figure(
        f"Training speed: {view.head(rows[0].comparison)}{size}",
        bars(items, "optimizer steps per second"),
        summary,
    )


def _bar(view: View, row: Row, rate: Rate) -> Bar:
    interval = rate.interval
    places = decimals(rate.steps_per_second)
    text = number(rate.steps_per_second) + (f" ({span(interval, places)})" if interval else "")
    return Bar(
        view.title(row.backend),
        rate.steps_per_second,
        text,
        view.colour(row.backend),
        interval.low if interval else None,
        interval.high if interval else None,
        rate.windows,
    )


def training_table(view: View, timed: Sequence[Sequence[Row]]) -> Table:
    raced = any(sum(r.speed is not None for r in rows) > 1 for rows in timed)
    columns = [
        *key_columns(view),
        Column("training", "steps/s"),
        Column("quartiles", "steps/s"),
        *([Column("times as fast", "as the slowest")] if raced else []),
        Column("samples", "1/s"),
        Column("tokens", "1/s"),
        Column("padding", "%"),
        Column("first step", "s"),
        Column("warm-up", "s"),
        Column("build", "s"),
        Column("MFU", "%"),
    ]
    asked = [
        (row, rows) for rows in timed for row in rows if row.status("throughput") != "not_asked"
    ]
    return Table(
        columns, [[*key_cells(view, row), *_cells(view, row, rows, raced)] for row, rows in asked]
    )


def _cells(view: View, row: Row, rows: Sequence[Row], raced: bool) -> list[Cell]:
    if row.speed is None:
        return [speed_gap(row)] * (9 + raced)
    speed, rate = row.speed, row.speed.training
    speeds = [r.speed for r in rows if r.speed]
    tone = speed_tone(row, peers(row, rows))
    low, high = (number(value, places=decimals(rate.steps_per_second)) for value in rate.quartiles)
    return [
        rate_cell(row, tone),
        Cell(f"{low} to {high}"),
        *([ratio_to_slowest(speed, speeds)] if raced else []),
        Cell(number(rate.samples_per_second)),
        Cell(number(rate.tokens_per_second)),
        Cell(percent(rate.padding_share)),
        Cell(number(speed.first_step_seconds)),
        Cell(number(speed.warmup_seconds)),
        Cell(number(speed.build_seconds)),
        _mfu_cell(speed),
    ]


def _mfu_cell(speed: SpeedRow) -> Cell:
    if speed.mfu is None:
        names = ("model_flops_per_token", "matmul_flops_per_second")
        return gap(next((speed.gaps[n] for n in names if n in speed.gaps), "not_run"))
    padded = speed.mfu_with_padding
    return Cell(percent(speed.mfu), "" if padded is None else f"{percent(padded)} with padding")
