"""Several runs of one machine as one comparison per task: each question is answered by the run that
answered it best. Pure functions.

A figure stands if its job succeeded; among several, that of the run in which most backends answered
the question stands, because only backends of one race have a ratio; among those, the newest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from results.analysis.compare import Row
from results.analysis.groups import _BY_QUESTION, NOT_COMPARED, Comparison, Group
from results.schema import Question

# Fields that differ between the jobs of one piece of work: memory is measured at full length.
_FREE = NOT_COMPARED | _BY_QUESTION | {"padding"}
# Fields that a comparison's name can hold.
_TELLING = ("length", "batch_size", "precision", "dropout")


@dataclass(frozen=True)
class Origin:
    """Where a run was made, and when."""

    machine: str
    started_at: str


@dataclass(frozen=True)
class Merged:
    rows: list[Row]  # one per backend, of one task on one machine
    sources: dict[Question, list[str]]  # the runs whose figures stand
    older: dict[Question, list[str]]  # runs that answered the question too, oldest first
    history: list[list[Row]]  # the comparisons that it was merged from, oldest first


def merge(comparisons: Sequence[Sequence[Row]], origins: Mapping[str, Origin]) -> list[Merged]:
    """Comparisons of the same work on the same machine become one; the order is that of machines and
    tasks."""
    newest_first = sorted(
        (list(rows) for rows in comparisons if not rows[0].comparison.change),
        key=lambda rows: origins[rows[0].comparison.run].started_at,
        reverse=True,
    )
    sets: list[list[list[Row]]] = []
    for rows in newest_first:
        same = next((s for s in sets if _is_same_work(s, rows, origins)), None)
        if same is None:
            sets.append([rows])
        else:
            same.append(rows)
    return sorted(_named_apart([_merged(same, origins) for same in sets]), key=_order)


def _named_apart(merged: Sequence[Merged]) -> list[Merged]:
    """Where one machine has several comparisons of a task, all comparisons of that task are named after
    the recipe fields in which they differ."""
    by_subject: dict[tuple[str, str], list[Merged]] = {}
    for one in merged:
        by_subject.setdefault(_subject(one), []).append(one)
    found = []
    for same in by_subject.values():
        one_each = len({one.rows[0].comparison.run for one in same}) == len(same)
        names = [] if one_each else [n for n in _TELLING if len({_value(m, n) for m in same}) > 1]
        found += [_named(one, names) for one in same]
    return found


def _named(merged: Merged, names: Sequence[str]) -> Merged:
    fields = [(name, value) for name in names if (value := _value(merged, name)) is not None]
    comparison = merged.rows[0].comparison
    comparison = replace(comparison, fields=(*comparison.fields, *fields))
    return replace(merged, rows=[replace(row, comparison=comparison) for row in merged.rows])


def _subject(merged: Merged) -> tuple[str, str]:
    comparison = merged.rows[0].comparison
    return comparison.task, comparison.varied_text


def _value(merged: Merged, name: str) -> Any:
    return _a_group(merged.rows[0]).recipe.get(name)


def _order(merged: Merged) -> tuple[str, str, bool, str]:
    """Of one task, those with a speed first."""
    comparison = merged.rows[0].comparison
    timed = any(row.speed for row in merged.rows)
    return comparison.run, comparison.task, not timed, comparison.varied_text


def _is_same_work(
    known: Sequence[Sequence[Row]], rows: Sequence[Row], origins: Mapping[str, Origin]
) -> bool:
    first, other = known[0][0].comparison, rows[0].comparison
    if origins[first.run].machine != origins[other.run].machine or first.task != other.task:
        return False
    pairs = [(a, b) for some in known for a in some for b in rows if a.backend == b.backend]
    return bool(pairs) and all(_are_alike(a, b) for a, b in pairs)


def _are_alike(first: Row, second: Row) -> bool:
    """Whether two rows of one backend are about the same texts, weights and recipe. A field that an
    early version did not record does not count."""
    a, b = _a_group(first), _a_group(second)
    ours, theirs = a.recipe, b.recipe
    fields = (ours.keys() & theirs.keys()) - _FREE
    return _material(a) == _material(b) and all(ours[name] == theirs[name] for name in fields)


def _material(group: Group) -> tuple[Any, ...]:
    m = (group.ok or [group.entries[0].measurement])[0]
    data = m.data and (m.data.generated, m.data.train_examples)
    return data, m.checkpoint and m.checkpoint.name


def _a_group(row: Row) -> Group:
    every = [group for same in row.groups.values() for group in same]
    return next((group for group in every if group.ok), every[0])


def _merged(same: Sequence[Sequence[Row]], origins: Mapping[str, Origin]) -> Merged:
    """`same` are the comparisons of one piece of work, newest first."""
    first = same[0][0].comparison
    comparison = replace(first, run=origins[first.run].machine)
    asked: dict[Question, list[Sequence[Row]]] = {}
    for rows in same:
        for question in dict.fromkeys(q for row in rows for q in row.groups):
            asked.setdefault(question, []).append(rows)
    # Python's sort is stable: among those with as many answers the newest stays first.
    ranked = {q: sorted(runs, key=lambda rows: -_answers(rows, q)) for q, runs in asked.items()}
    backends = sorted({row.backend for rows in same for row in rows})
    chosen = {
        (question, backend): row
        for question, runs in ranked.items()
        for backend in backends
        if (row := _best(runs, question, backend))
    }
    used = {
        question: list(
            dict.fromkeys(row.comparison.run for (q, _), row in chosen.items() if q == question)
        )
        for question in asked
    }
    older = {
        question: [
            run
            for rows in reversed(runs)
            if (run := rows[0].comparison.run) not in used[question] and _answers(rows, question)
        ]
        for question, runs in asked.items()
    }
    rows = [_row(comparison, backend, chosen) for backend in backends]
    return Merged(rows, used, older, [list(one) for one in reversed(same)])


def _answers(rows: Sequence[Row], question: Question) -> int:
    return sum(row.status(question) == "ok" for row in rows)


def _best(runs: Sequence[Sequence[Row]], question: Question, backend: str) -> Row | None:
    """The first run's row that has the figure, else the first that at least has the reason."""
    rows = [
        row for rows in runs for row in rows if row.backend == backend and question in row.groups
    ]
    return next((row for row in rows if row.status(question) == "ok"), rows[0] if rows else None)


def _row(comparison: Comparison, backend: str, chosen: Mapping[tuple[Question, str], Row]) -> Row:
    rows = {question: row for (question, name), row in chosen.items() if name == backend}
    return Row(
        comparison,
        backend,
        {question: row.groups[question] for question, row in rows.items()},
        rows["throughput"].speed if "throughput" in rows else None,
        rows["memory"].memory if "memory" in rows else None,
        rows["accuracy"].scores if "accuracy" in rows else [],
    )
