"""What each memory lever saves and costs: a study of named changes to the recipe, each held
against the plain recipe of the same backend, with which it took turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from results.analysis.compare import (
    MemoryRow,
    SpeedRow,
    headline_memory,
    memory_rows,
    speed_ratio,
    speed_rows,
)
from results.analysis.controls import doubt
from results.analysis.groups import Comparison, Group, groups
from results.analysis.statistics import Estimate
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
from results.schema import PLAIN, Question


@dataclass(frozen=True)
class Lever:
    """One named change, or none at all, in one backend."""

    name: str
    groups: dict[Question, Group]
    memory: MemoryRow | None
    speed: SpeedRow | None

    @property
    def recipe(self) -> dict[str, Any]:
        return next(iter(self.groups.values())).recipe

    def status(self, question: Question) -> str:
        return self.groups[question].status if question in self.groups else "not_asked"


@dataclass(frozen=True)
class Study:
    """The levers of one backend on one task, the plain recipe first."""

    comparison: Comparison  # the plain one's
    backend: str
    levers: list[Lever]
    figure: str  # the one of MEMORY_FIGURES that it is told in
    again: MemoryRow | None = None  # the plain recipe's memory, taken a second time

    @property
    def plain(self) -> Lever:
        return self.levers[0]

    def peak(self, lever: Lever) -> int | None:
        return lever.memory.figures[self.figure] if lever.memory else None

    def saved(self, lever: Lever) -> int | None:
        """Bytes less than the plain recipe's peak; below 0: more."""
        plain, peak = self.peak(self.plain), self.peak(lever)
        return None if plain is None or peak is None else plain - peak

    @property
    def noise(self) -> int | None:
        """Bytes by which the plain recipe's two peaks differ."""
        plain, again = (
            self.peak(self.plain),
            (self.again.figures[self.figure] if self.again else None),
        )
        return None if plain is None or again is None else abs(plain - again)

    def lost(self, lever: Lever) -> bool:
        """Whether its saving, or cost, is lost in the noise."""
        saved = self.saved(lever)
        return saved is not None and self.noise is not None and abs(saved) <= self.noise

    def speed(self, lever: Lever) -> Estimate | None:
        """Examples per second over the plain recipe's, in paired windows."""
        if not (lever.speed and self.plain.speed):
            return None
        return speed_ratio(lever.speed.training, self.plain.speed.training)


def studies(view: View) -> list[Study]:
    """One per run, task and backend that has named shapes, the plain one among them."""
    found: dict[tuple[str, str, str], dict[str, dict[Question, Group]]] = {}
    again: dict[tuple[str, str, str], MemoryRow] = {}
    for group in groups([t for run in view.runs for t in run.taken if t.measurement.job.shape]):
        where = group.comparison
        key = where.run, where.task, group.backend
        if group.participant == "framework" and where.shape:
            found.setdefault(key, {}).setdefault(where.shape, {})[group.question] = group
        elif group.participant == "again":
            again.update((key, row) for row in memory_rows(group))
    return [_study(shapes, again.get(key)) for key, shapes in found.items() if PLAIN in shapes]


def _study(shapes: dict[str, dict[Question, Group]], again: MemoryRow | None) -> Study:
    levers = [
        _lever(name, shapes[name])
        for name in sorted(shapes, key=lambda name: (name != PLAIN, name))
    ]
    of_plain = next(iter(shapes[PLAIN].values()))
    kind = of_plain.taken[0].measurement.device.kind
    figure = headline_memory([lever.memory for lever in levers if lever.memory], kind)
    return Study(of_plain.comparison, of_plain.backend, levers, figure, again)


def _lever(name: str, by_question: dict[Question, Group]) -> Lever:
    memory = [row for g in by_question.values() for row in memory_rows(g)]
    speed = [row for g in by_question.values() for row in speed_rows(g)]
    return Lever(name, by_question, memory[0] if memory else None, speed[0] if speed else None)


def section(view: View) -> Section | None:
    found = [study for study in studies(view) if len(study.levers) > 1]
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
            "Each change alone, held against the plain recipe of the same backend. The peak is the "
            "one that the column names. Speed is samples per second over the plain recipe's, "
            "from windows of the same round, in which the two took turns, with a bootstrap 95 % "
            "interval.",
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
        "What each memory lever saves and costs",
        "levers",
        [*blocks, *labels(view, "memory", compares=False)],
    )


def noise_text(study: Study) -> str:
    """What a second take of the plain recipe showed."""
    if study.noise is None:
        return "The plain recipe's memory was taken once: how far two takes lie apart is not known."
    return (
        f"Two takes of the plain recipe's memory lie {gibibytes(study.noise)} GiB apart: no "
        "smaller difference is called one."
    )


def sentence(study: Study, floor: float | None) -> str:
    """Which lever saves most, and for what; nothing where none saves."""
    saving = [
        (saved, lever)
        for lever in study.levers
        if (saved := study.saved(lever)) and not study.lost(lever)
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
    why = doubt(speed, floor)
    if why == "too close to tell apart":
        return ", at a speed that cannot be told from the plain recipe's"
    if speed is None or why:
        return f"; its speed is not judged: {why}"
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
        Column("it sets", numeric=False),
        Column(figures.pop() if len(figures) == 1 else "peak", "GiB"),
        Column("saved", "GiB"),
        Column("saved", "%"),
        Column("training", "steps/s"),
        Column("speed", "times plain's"),
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
    names = ["run"] * view.several_runs + ["task", "backend", "lever"]
    return [Column(name, numeric=False) for name in names]


def _key_cells(view: View, study: Study, lever: Lever) -> list[Cell]:
    return [
        *[Cell(study.comparison.run)] * view.several_runs,
        Cell(study.comparison.task),
        Cell(view.title(study.backend), colour=view.colour(study.backend)),
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
    note = "lost in the noise" if study.lost(lever) else ""
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
