"""What each memory lever saves and costs: named changes to the recipe, each compared with the plain
recipe of the same backend, in one race."""

from __future__ import annotations

from collections.abc import Sequence

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
from results.report.sections.speed import ratio_cell
from results.report.view import View


def section(view: View) -> Section | None:
    found = [study for study in studies(view.entries) if len(study.levers) > 1]
    if not found:
        return None
    blocks: list[Block] = [
        Paragraph(text, head=_head(view, study)) for study in found if (text := sentence(study))
    ]
    figures = [_figure(view, study) for study in found if study.peak(study.plain) is not None]
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
    return Section(
        "What does each memory lever save and cost?",
        "levers",
        [*blocks, *labels(view, "memory", compares=False)],
    )


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
    return (
        f"{_named(lever)} saves most: {gibibytes(saved)} of {gibibytes(plain)} GiB "
        f"({percent(saved / plain)} %)"
        f"{_cost(study.speed(lever), len(study.levers) - 1) if lever.speed and study.plain.speed else ''}."
    )


def _cost(speed: Ratio | None, tried: int) -> str:
    """What the lever that saves most of those `tried` does to the speed."""
    if speed is None:
        return "; its speed is not compared: not raced together"
    faster, slower = rival("", speed, tried), rival("", speed.inverse, tried)
    if faster.slower or slower.slower:
        return (
            f", and trains {percent(abs(speed.value - 1))} % "
            f"{'faster' if speed.value > 1 else 'slower'}"
        )
    if faster.equal:
        return ", at the same speed to within 5 %"
    return "; whether it is as fast as the plain recipe cannot be told from this race"


def _named(lever: Lever) -> str:
    return lever.name.replace("_", " ")


def _head(view: View, study: Study) -> str:
    return f"{view.head(study.comparison)}, {view.title(study.backend)}"


def _figure(view: View, study: Study) -> Figure:
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


def lever_table(view: View, found: Sequence[Study]) -> Table:
    figures = {MEMORY_TITLES[study.figure] for study in found}
    columns = [
        *_key_columns(view),
        Column("changes", numeric=False),
        Column(figures.pop() if len(figures) == 1 else "peak", "GiB"),
        Column("saved", "GiB"),
        Column("saved", "%"),
        Column("training", "steps/s"),
        Column("speed", "times the plain recipe's"),
    ]
    return Table(
        columns,
        [
            [
                *_key_cells(view, study, lever),
                Cell(_changes(study, lever)),
                *_memory_cells(study, lever),
                *_speed_cells(study, lever),
            ]
            for study in found
            for lever in study.levers
        ],
    )


def _key_columns(view: View) -> list[Column]:
    names = [*(["run"] if view.several_runs else []), "task", "backend", "lever"]
    return [Column(name, numeric=False) for name in names]


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
