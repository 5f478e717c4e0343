"""What each named change to the recipe saves in memory and does to the speed, compared with the plain
recipe of the same backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from results.analysis.levers import Lever, Study, studies
from results.analysis.speed import Ratio
from results.analysis.verdict import rival
from results.report.charts import Bar, bars
from results.report.columns import backend_cell
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Figure,
    Figures,
    Paragraph,
    Section,
    Table,
)
from results.report.format import GIB, gap, gibibytes, number, percent
from results.report.provenance import labels
from results.report.sections.memory import phase_cells, phase_columns
from results.report.sections.overview import MEMORY_TITLES, rate_notes
from results.report.sections.speed.ratios import ratio_cell, ratio_note
from results.report.view import View
from results.schema import Question


def section(view: View) -> Section | None:
    found = [study for study in studies(view.entries) if len(study.levers) > 1]
    if not found:
        return None
    blocks: list[Block] = [*first_lines(view)]
    figures = [f for study in found for f in (_figure(view, study), _speeds(view, study)) if f]
    blocks += [Figures(figures)] if figures else []
    blocks += [
        lever_table(view, found),
        Paragraph(
            "Each change alone, compared with the plain recipe of the same backend. The speed is in samples "
            "per second, divided by the plain recipe's in the same race, with its interval over launches.",
            "small",
        ),
    ]
    blocks += [
        Paragraph(noise_text(study), "small", head=_head(view, study))
        for study in found
        if study.peak(study.plain) is not None
    ]
    if any(lever.memory and lever.memory.phases for study in found for lever in study.levers):
        blocks.append(Details("The peak of each phase of a step", [phase_table(view, found)]))
    question: Question = "memory" if any(map(_has_memory, found)) else "throughput"
    return Section(
        "What does each change save and cost?",
        "levers",
        [*blocks, *labels(view, question, compares=False)],
    )


def first_lines(view: View) -> list[Block]:
    return [
        Paragraph(text, "lead", _head(view, study))
        for study in studies(view.entries)
        if (text := sentence(study) if _has_memory(study) else speed_sentence(study))
    ]


def _has_memory(study: Study) -> bool:
    return any("memory" in lever.groups for lever in study.levers)


def noise_text(study: Study) -> str:
    """What measuring the plain recipe's memory twice showed."""
    if study.noise is None:
        return (
            "The plain recipe's memory was measured once, so the noise of these figures is unknown."
        )
    return (
        f"Two measurements of the plain recipe's memory differ by {gibibytes(study.noise)} GiB; "
        "smaller differences are noise."
    )


def sentence(study: Study) -> str:
    """Which lever saves most, and at which cost; empty where none saves."""
    saving = [
        (saved, lever)
        for lever in study.levers
        if (saved := study.saved(lever)) and not study.is_noise(lever)
    ]
    if not saving:
        return ""
    saved, lever = max(saving, key=lambda pair: pair[0])
    plain = study.peak(study.plain)
    if saved <= 0 or not plain:
        return ""
    tried = len(study.levers) - 1
    cost = _cost(study.speed(lever), tried) if lever.speed and study.plain.speed else ""
    return (
        f"{_named(lever)} {'saves most:' if tried > 1 else 'saves'} {gibibytes(saved)} of "
        f"{gibibytes(plain)} GiB ({percent(saved / plain)} %){cost}."
    )


def speed_sentence(study: Study) -> str:
    """What each change does to the speed, where memory was not asked for."""
    tried = len(study.levers) - 1
    said = [
        f"{_named(lever)} {_gain(ratio, tried)}"
        for lever in study.levers[1:]
        if (ratio := study.speed(lever))
    ]
    return "; ".join(said) + "." if said else ""


def _outcome(speed: Ratio, tried: int) -> Literal["different", "equal", "unknown"]:
    """What the race says of one of so many levers against the plain recipe."""
    faster, slower = rival("", speed, tried), rival("", speed.inverse, tried)
    if faster.slower or slower.slower:
        return "different"
    return "equal" if faster.equal else "unknown"


def _gain(speed: Ratio, tried: int) -> str:
    outcome = _outcome(speed, tried)
    if outcome == "different":
        return (
            f"trains {number(speed.value)} times as fast as the plain recipe ({ratio_note(speed)})"
        )
    if outcome == "equal":
        return "trains as fast as the plain recipe, to within 5 %"
    return f"may be faster or slower than the plain recipe: it cannot be told ({ratio_note(speed)})"


def _cost(speed: Ratio | None, tried: int) -> str:
    """What the lever that saves most of those `tried` does to the speed."""
    if speed is None:
        return "; its speed is not compared: not raced together"
    outcome = _outcome(speed, tried)
    if outcome == "different":
        ends = (speed.interval.low, speed.interval.high) if speed.interval else ()
        amounts = [percent(amount) for amount in sorted(abs(end - 1) for end in ends)]
        span = f" ({' to '.join(amounts)} %)" if amounts else ""
        return (
            f", and trains {percent(abs(speed.value - 1))} % "
            f"{'faster' if speed.value > 1 else 'slower'}{span}"
        )
    if outcome == "equal":
        return ", at the same speed to within 5 %"
    return "; whether it is as fast as the plain recipe cannot be told from this race"


def _named(lever: Lever) -> str:
    return lever.name.replace("_", " ")


def _head(view: View, study: Study) -> str:
    return f"{view.head(study.comparison)}, {view.title(study.backend)}"


def _figure(view: View, study: Study) -> Figure | None:
    if study.peak(study.plain) is None:
        return None
    items = [
        Bar(_named(lever), peak / GIB, f"{gibibytes(peak)} GiB", view.colour(study.backend))
        for lever in study.levers
        if (peak := study.peak(lever)) is not None
    ]
    summary = "; ".join(f"{item.label} {item.text}" for item in items)
    title = MEMORY_TITLES[study.figure]
    return Figure(
        f"Memory by lever, {title}: {_head(view, study)}", bars(items, f"{title}, GiB"), summary
    )


def _speeds(view: View, study: Study) -> Figure | None:
    items = [
        Bar(
            _named(lever),
            ratio.value,
            f"{number(ratio.value)} ({ratio_note(ratio)})",
            view.colour(study.backend),
            *((ratio.interval.low, ratio.interval.high) if ratio.interval else (None, None)),
        )
        for lever in study.levers[1:]
        if (ratio := study.speed(lever))
    ]
    if not items:
        return None
    summary = "; ".join(f"{item.label} {item.text}" for item in items)
    axis = "times as fast as the plain recipe"
    return Figure(f"Speed by change: {_head(view, study)}", bars(items, axis), summary)


def lever_table(view: View, found: Sequence[Study]) -> Table:
    figures = {MEMORY_TITLES[study.figure] for study in found}
    peaks = [
        Column(figures.pop() if len(figures) == 1 else "peak", "GiB"),
        Column("saved", "GiB"),
        Column("saved", "%"),
    ]
    memory = any(map(_has_memory, found))
    columns = [
        *_key_columns(view),
        Column("fields", numeric=False),
        *(peaks if memory else []),
        Column("training", "steps/s"),
        Column("speed", "times the plain recipe's"),
    ]
    return Table(
        columns,
        [
            [
                *_key_cells(view, study, lever),
                Cell(_changes(study, lever)),
                *(_memory_cells(study, lever) if memory else []),
                *_speed_cells(study, lever),
            ]
            for study in found
            for lever in study.levers
        ],
    )


def _key_columns(view: View) -> list[Column]:
    names = [*(["run"] if view.several_runs else []), "task", "backend", "change"]
    return [Column(name, numeric=False, group=name in ("run", "task")) for name in names]


def _key_cells(view: View, study: Study, lever: Lever) -> list[Cell]:
    return [
        *([Cell(study.comparison.run)] if view.several_runs else []),
        Cell(study.comparison.task),
        backend_cell(view, study.backend),
        Cell(_named(lever)),
    ]


def _changes(study: Study, lever: Lever) -> str:
    """'batch size 8, accumulation 2'."""
    plain = study.plain.recipe
    return ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in lever.recipe.items()
        if value != plain.get(name)
    )


def _memory_cells(study: Study, lever: Lever) -> list[Cell]:
    peak, saved = study.peak(lever), study.saved(lever)
    if peak is None:
        gaps = lever.memory.gaps if lever.memory else {}
        return [
            gap(gaps.get(study.figure) if lever.memory else lever.status("memory")),
            Cell(""),
            Cell(""),
        ]
    plain = study.peak(study.plain)
    if lever is study.plain or saved is None or not plain:
        return [Cell(gibibytes(peak)), Cell(""), Cell("")]
    note = "noise" if study.is_noise(lever) else ""
    return [Cell(gibibytes(peak)), Cell(gibibytes(saved), note), Cell(percent(saved / plain))]


def _speed_cells(study: Study, lever: Lever) -> list[Cell]:
    if lever.speed is None:
        return [gap(lever.status("throughput")), Cell("")]
    rate = lever.speed.training
    steps = Cell(number(rate.steps_per_second), ", ".join(rate_notes(rate)))
    if lever is study.plain or study.plain.speed is None:
        return [steps, Cell("1" if lever is study.plain else "")]
    return [steps, ratio_cell(rate, study.plain.speed.training)]


def phase_table(view: View, found: Sequence[Study]) -> Table:
    return Table(
        [*_key_columns(view), *phase_columns()],
        [
            [*_key_cells(view, study, lever), *phase_cells(lever.memory)]
            for study in found
            for lever in study.levers
            if lever.memory
        ],
    )
