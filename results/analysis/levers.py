"""What each change to a recipe saves and costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from results.analysis.groups import Comparison, Entry, Group, groups
from results.analysis.memory import MemoryRow, headline_memory, memory_rows
from results.analysis.speed import Ratio, SpeedRow, speed_ratio, speed_rows
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
    figure: str  # the one of MEMORY_FIGURES that the study compares
    repeat: MemoryRow | None = None  # the plain recipe's memory, measured a second time

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
        plain = self.peak(self.plain)
        repeat = self.repeat.figures[self.figure] if self.repeat else None
        return None if plain is None or repeat is None else abs(plain - repeat)

    def is_noise(self, lever: Lever) -> bool:
        """Whether its saving, or its cost, is no larger than the noise."""
        saved = self.saved(lever)
        return saved is not None and self.noise is not None and abs(saved) <= self.noise

    def speed(self, lever: Lever) -> Ratio | None:
        """Examples per second over the plain recipe's, in the same race."""
        if not (lever.speed and self.plain.speed):
            return None
        return speed_ratio(lever.speed.training, self.plain.speed.training)


def studies(entries: Iterable[Entry]) -> list[Study]:
    """One per run, task and backend that has named changes, the plain one among them."""
    found: dict[tuple[str, str, str], dict[str, dict[Question, Group]]] = {}
    repeats: dict[tuple[str, str, str], MemoryRow] = {}
    for group in groups([t for t in entries if t.measurement.job.change]):
        where = group.comparison
        key = where.run, where.task, group.backend
        if group.role == "framework" and where.change:
            found.setdefault(key, {}).setdefault(where.change, {})[group.question] = group
        elif group.role == "repeat":
            repeats.update((key, row) for row in memory_rows(group))
    return [_study(changes, repeats.get(key)) for key, changes in found.items() if PLAIN in changes]


def _study(changes: dict[str, dict[Question, Group]], repeat: MemoryRow | None) -> Study:
    levers = [
        _lever(name, changes[name])
        for name in sorted(changes, key=lambda name: (name != PLAIN, name))
    ]
    of_plain = next(iter(changes[PLAIN].values()))
    kind = of_plain.entries[0].measurement.device.kind
    figure = headline_memory([lever.memory for lever in levers if lever.memory], kind)
    return Study(of_plain.comparison, of_plain.backend, levers, figure, repeat)


def _lever(name: str, by_question: dict[Question, Group]) -> Lever:
    memory = [row for g in by_question.values() for row in memory_rows(g)]
    speed = [row for g in by_question.values() for row in speed_rows(g)]
    return Lever(name, by_question, memory[0] if memory else None, speed[0] if speed else None)
