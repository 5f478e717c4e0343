"""From measurements to the rows of the report. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.analysis.accuracy.scores import ScoreRow, score_rows
from results.analysis.groups import Comparison, Entry, Group, groups
from results.analysis.memory import MemoryRow, memory_rows
from results.analysis.speed import SpeedRow, speed_rows
from results.schema import Measurement, Question

SAME_SIZE = 0.02  # two models are of one size when their parameters differ by less


@dataclass(frozen=True)
class Row:
    """All that one backend has in one comparison."""

    comparison: Comparison
    backend: str
    groups: dict[Question, list[Group]]  # several where a recipe differs in its length only
    speed: SpeedRow | None
    memory: MemoryRow | None
    scores: list[ScoreRow]  # one per evaluation set

    def status(self, question: Question) -> str:
        """Why the row has no figures for a question, or 'ok'; 'not_asked' where it has no job."""
        found = self.groups.get(question)
        if not found:
            return "not_asked"
        return next((g.status for g in found if g.status == "ok"), found[0].status)

    @property
    def measurements(self) -> list[Measurement]:
        """Those that gave figures."""
        return [m for same in self.groups.values() for g in same for m in g.ok]

    @property
    def model_size(self) -> int:
        """Parameters of the model, or 0 where no job of the row got as far as counting them."""
        counts = ((m.effective or {}).get("parameters") for m in self.measurements)
        return next((int(count) for count in counts if count), 0)


def peers(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows whose model has the same size, itself included: those that it is compared with. The
    speed of a smaller model does not show which framework is faster."""
    size = row.model_size
    return [r for r in rows if abs(r.model_size - size) <= SAME_SIZE * size]


def races(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of one comparison by the size of their model, the largest first."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda r: -r.model_size):
        same = peers(row, rows)
        found.setdefault(tuple(r.backend for r in same), same)
    return list(found.values())


def compare(entries: Sequence[Entry]) -> list[list[Row]]:
    """One list per comparison (run, task, varied settings), with one row per backend. The controls of a
    race are not backends: `results.analysis.controls` has their rows."""
    found: dict[Comparison, dict[str, dict[Question, list[Group]]]] = {}
    for group in (g for g in groups(entries) if g.role == "framework"):
        backends = found.setdefault(group.comparison, {})
        backends.setdefault(group.backend, {}).setdefault(group.question, []).append(group)
    return [
        [_row(comparison, backend, backends[backend]) for backend in sorted(backends)]
        for comparison, backends in found.items()
    ]


def _row(comparison: Comparison, backend: str, by_question: dict[Question, list[Group]]) -> Row:
    speed = [row for g in by_question.get("throughput", []) for row in speed_rows(g)]
    memory = [row for g in by_question.get("memory", []) for row in memory_rows(g)]
    return Row(
        comparison,
        backend,
        by_question,
        speed[0] if speed else None,
        memory[0] if memory else None,
        [row for g in by_question.get("accuracy", []) for row in score_rows(g)],
    )
