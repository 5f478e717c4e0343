"""How fast? Training and evaluation, with every raw window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from results.analysis.compare import Row, peers, races
from results.analysis.conditions import unequal
from results.analysis.speed import Rate, Ratio, SpeedRow, speed_ratio
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
from results.report.format import count, decimals, gap, listed, millions, number, percent, span
from results.report.provenance import conditions_blocks, labels, recipe_notes
from results.report.sections.overview import (
    no_interval,
    rate_cell,
    rate_notes,
    speed_gap,
    speed_tone,
)
from results.report.view import View


def section(view: View) -> Section | None:
    """The claims, and what they are based on."""
    found = figures_section(view)
    claims = [
        Paragraph(f"{verdict.sentence(view.titles)}.", head=head) for head, verdict in view.verdicts
    ]
    return found and replace(found, blocks=[*claims, *found.blocks])


def figures_section(view: View) -> Section | None:
    """The section without the claims, for a page that begins with them."""
    timed = [rows for rows in view.comparisons if any(r.speed for r in rows)]
    if not timed:
        return None
    notes = [note for rows in timed for note in recipe_notes(view, rows, "throughput")]
    doubts = [text for rows in timed for r in rows if r.speed for text in _doubts(view, r)]
    blocks: list[Block] = [
        Figures([figure for rows in timed for figure in figures(view, rows)]),
        training_table(view, timed),
        *_summed_up([r.speed.training for rows in timed for r in rows if r.speed]),
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
    if text := claims_text(view.verdicts):
        blocks.append(Paragraph(text, "small"))
    notes += [*doubts, *not_raced_together(view)]
    blocks += [Listing(notes)] if notes else []
    blocks += [
        *_evaluation(view, timed),
        Details("Every window, in steps/s", [_windows(view, timed)]),
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
        *([_ratio_cell(speed, speeds)] if raced else []),
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


def _ratio_cell(speed: SpeedRow, speeds: Sequence[SpeedRow]) -> Cell:
    slowest = min(speeds, key=lambda s: s.training.samples_per_second)
    if speed is slowest:
        return Cell("1")
    if unequal([speed.conditions, slowest.conditions]):
        return Cell("unequal conditions", tone="gap")
    return ratio_cell(speed.training, slowest.training)


def ratio_cell(first: Rate, second: Rate) -> Cell:
    """How many times as fast `first` is, with its interval."""
    ratio = speed_ratio(first, second)
    if ratio is None:
        return Cell("not raced together", tone="gap")
    return Cell(number(ratio.value), ratio_note(ratio))


def ratio_note(ratio: Ratio, places: int = 2) -> str:
    """The interval of a ratio, and what limits it."""
    if ratio.interval is None:
        return no_interval(ratio.launches, len(ratio.logs))
    notes = [span(ratio.interval, places)]
    notes += ["one launch"] if ratio.launches == 1 else []
    notes += [] if ratio.same_batches else ["different batches"]
    return ", ".join(notes)


def not_raced_together(view: View) -> list[str]:
    """Which comparisons had no common race, and how to get one; empty where all had."""
    heads = [
        view.head(rows[0].comparison)
        for rows in view.comparisons
        if any(
            speed_ratio(a.speed.training, b.speed.training) is None
            for a, b in combinations(rows, 2)
            if a.speed and b.speed
        )
    ]
    if not heads:
        return []
    return [
        f"{listed(heads)}: these backends were not all raced together, so none is called faster. "
        "Install them in one environment (pip install -e '.[all]') and run again to race them."
    ]


def _summed_up(rates: Sequence[Rate]) -> list[Block]:
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


def _doubts(view: View, row: Row) -> list[str]:
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


def _evaluation(view: View, timed: Sequence[Sequence[Row]]) -> list[Block]:
    rows = [
        (
            r,
            r.speed.evaluation,
            [o.speed.evaluation for o in same if o.speed and o.speed.evaluation],
        )
        for same in timed
        for r in same
        if r.speed and r.speed.evaluation
    ]
    columns = [
        *key_columns(view),
        Column("evaluation", "batches/s"),
        Column("times as fast", "as the slowest"),
        Column("samples", "1/s"),
        Column("tokens", "1/s"),
        Column("padding", "%"),
    ]
    table = Table(
        columns,
        [
            [
                *key_cells(view, row),
                Cell(number(rate.steps_per_second), ", ".join(rate_notes(rate))),
                _evaluation_ratio(rate, rates),
                Cell(number(rate.samples_per_second)),
                Cell(number(rate.tokens_per_second)),
                Cell(percent(rate.padding_share)),
            ]
            for row, rate, rates in rows
        ],
        "Evaluation speed",
    )
    return [table] if rows else []


def _evaluation_ratio(rate: Rate, rates: Sequence[Rate]) -> Cell:
    slowest = min(rates, key=lambda r: r.samples_per_second)
    return Cell("1") if rate is slowest else ratio_cell(rate, slowest)


def _windows(view: View, timed: Sequence[Sequence[Row]]) -> Table:
    """Every window by launch and round, also those of a round that was taken again."""
    rows = []
    rates = [(row, row.speed.training) for same in timed for row in same if row.speed]
    for row, rate in rates:
        counted = list(zip(rate.turns, rate.timed, strict=True))
        for turn in dict.fromkeys(turn for turn, _ in counted):
            first = [number(w.steps / w.seconds) for t, w in rate.superseded if t == turn]
            values = [number(w.steps / w.seconds) for t, w in counted if t == turn]
            rows.append(
                [
                    *key_cells(view, row),
                    Cell(str(turn[1] + 1)),
                    Cell(str(turn[2] + 1)),
                    Cell(", ".join(values)),
                    Cell(", ".join(first)),
                ]
            )
    columns = [Column("launch"), Column("round"), Column("windows", "steps/s", False)]
    disturbed = Column("disturbed, taken again", "steps/s", False)
    return Table([*key_columns(view), *columns, disturbed], rows)
