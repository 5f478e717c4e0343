"""From measurements to the rows of the report. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.analysis.accuracy import ScoreRow, score_rows
from results.analysis.groups import Comparison, Entry, Group, groups
from results.analysis.memory import MemoryRow, memory_rows
from results.analysis.speed import SpeedRow, speed_rows
from results.schema import Question


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
