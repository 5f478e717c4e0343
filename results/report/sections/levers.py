"""What each memory lever saves and costs: named changes to the recipe, each compared with the plain
recipe of the same backend, in one race."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.controls import doubt
from results.analysis.levers import Lever, Study, studies
from results.analysis.statistics import Estimate
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
from results.report.writers.plots import Bar, bars


def section(view: View) -> Section | None:
    found = [study for study in studies(view.entries) if len(study.levers) > 1]
    if not found:
        return None
    blocks: list[Block] = [
        Paragraph(text, head=_head(view, study))
        for study in found
        if (text := sentence(study, view.floors.get(study.comparison)))
    ]
    figures = [_figure(view, study) for study in found if study.peak(study.plain) is not None]
    blocks += [Figures(figures)] if figures else []
    blocks += [
        lever_table(view, found),
        Paragraph(
            "Each change alone, compared with the plain recipe of the same backend. The speed is in samples "
            "per second, divided by the plain recipe's, from paired windows of one race, with a "
            "bootstrap 95 % interval.",
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


def sentence(study: Study, floor: float | None) -> str:
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
        f"{_cost(study.speed(lever), floor) if lever.speed and study.plain.speed else ''}."
    )


def _cost(speed: Estimate | None, floor: float | None) -> str:
    reason = doubt(speed, floor)
    if reason == "too close to distinguish":
        return ", at a speed too close to the plain recipe's to distinguish"
    if speed is None or reason:
        return f"; its speed is not compared: {reason}"
    return (
        f", and trains {percent(abs(speed.value - 1))} % "
        f"{'faster' if speed.value > 1 else 'slower'}"
    )


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
                *_speed_cells(study, lever, view.floors.get(study.comparison)),
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


def _speed_cells(study: Study, lever: Lever, floor: float | None) -> list[Cell]:
    if lever.speed is None:
        return [gap(lever.status("throughput")), Cell("")]
    rate = lever.speed.training
    steps = Cell(number(rate.median), ", ".join(rate_notes(rate)))
    if lever is study.plain or study.plain.speed is None:
        return [steps, Cell("1" if lever is study.plain else "")]
    return [steps, ratio_cell(rate, study.plain.speed.training, floor)]


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
