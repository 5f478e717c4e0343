"""Which measurements are rounds or seeds of the same thing, and which are compared.

A *group* is one backend doing one task under one recipe for one question, its worker under the
same variables; only the seed and the round may differ inside it, so its windows and scores are put
together. Backends are compared within one set of *varied* settings: the recipe fields and the
variables that the run itself varies (a study of lengths, say). Fields that merely differ between
backends (a learning rate that suits a recurrent network) do not split a comparison;
`recipe_differences` lists them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.schema import Gap, Measurement, Question, Role

NOT_COMPARED = {"seed"}  # may differ inside a group
# Set by what a question needs, not by what the user varies.
_BY_QUESTION = {"steps", "epochs", "evaluation_interval", "log_interval", "keep_best"}

Varied = dict[tuple[str, str], set[str]]  # (run, task): names of what the run varies


@dataclass(frozen=True)
class Entry:
    """A measurement with the run and the folder that it comes from."""

    run: str
    measurement: Measurement
    folder: Path | None = None  # with its predictions file


@dataclass(frozen=True)
class Comparison:
    """What the compared backends have in common."""

    run: str
    task: str
    fields: tuple[tuple[str, Any], ...]  # recipe fields that the run varies
    # In a study of named changes: the change, and the backend whose changes took turns. Its speed is
    # compared with no other backend's.
    change: str | None = None
    backend: str | None = None
    environment: tuple[tuple[str, str | None], ...] = ()  # variables that the run varies

    @property
    def varied(self) -> bool:
        return bool(self.fields or self.environment)

    @property
    def varied_text(self) -> str:
        if self.change:
            return self.change.replace("_", " ")
        fields = [
            f"{name.replace('_', ' ')} {f'{value:g}' if isinstance(value, float) else value}"
            for name, value in self.fields
        ]
        return ", ".join(
            fields
            + [
                f"{name} unset" if value is None else f"{name}={value}"
                for name, value in self.environment
            ]
        )


@dataclass(frozen=True)
class Group:
    comparison: Comparison
    backend: str
    question: Question
    entries: tuple[Entry, ...]
    role: Role = "framework"

    @property
    def ok(self) -> list[Measurement]:
        return [t.measurement for t in self.entries if t.measurement.status == "ok"]

    @property
    def status(self) -> str:
        """'ok' as soon as one of its measurements is; else the first one's status."""
        return "ok" if self.ok else self.entries[0].measurement.status

    @property
    def recipe(self) -> dict[str, Any]:
        return (self.ok or [self.entries[0].measurement])[0].recipe


def groups(entries: Iterable[Entry]) -> list[Group]:
    """In the order of run, task, varied settings, question and backend."""
    everything = list(entries)
    fields, variables = _varied(everything, _fields), _varied(everything, _variables(everything))
    members: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for one in sorted(everything, key=lambda t: t.measurement.job.id):
        job = one.measurement.job
        members[
            one.run,
            job.task,
            job.backend,
            job.question,
            job.role,
            job.change or "",
            _recipe_key(one.measurement.recipe),
            json.dumps(one.measurement.environment, sort_keys=True),
        ].append(one)
    found = [_group(tuple(same), fields, variables) for same in members.values()]
    run_order = {run: i for i, run in enumerate(dict.fromkeys(t.run for t in everything))}
    return sorted(
        found,
        key=lambda g: (
            run_order[g.comparison.run],
            g.comparison.task,
            [
                (name, _sortable(value))
                for name, value in (*g.comparison.fields, *g.comparison.environment)
            ],
            g.question,
            g.backend,
            g.role != "framework",
            g.role,
        ),
    )


def _group(same: tuple[Entry, ...], fields: Varied, variables: Varied) -> Group:
    first = same[0]
    job, recipe = first.measurement.job, first.measurement.recipe
    if job.change:
        raced = None if job.question == "accuracy" else job.backend  # trainings take no turns
        comparison = Comparison(first.run, job.task, (), job.change, raced)
        return Group(comparison, job.backend, job.question, same, job.role)
    own_fields = tuple((name, recipe.get(name)) for name in sorted(fields[first.run, job.task]))
    environment = tuple(
        (name, first.measurement.environment.get(name))
        for name in sorted(variables[first.run, job.task])
    )
    comparison = Comparison(first.run, job.task, own_fields, environment=environment)
    return Group(comparison, job.backend, job.question, same, job.role)


def _varied(
    entries: Sequence[Entry], settings: Callable[[Measurement], Mapping[str, Any]]
) -> Varied:
    """Which settings take several values within one backend and question."""
    values: dict[tuple[str, str, str, str, str], set[str]] = defaultdict(set)
    for one in (one for one in entries if not one.measurement.job.change):
        job = one.measurement.job
        for name, value in settings(one.measurement).items():
            values[one.run, job.task, job.backend, job.question, name].add(json.dumps(value))
    found: Varied = defaultdict(set)
    for (run, task, _, _, name), seen in values.items():
        if len(seen) > 1:
            found[run, task].add(name)
    return found


def _fields(m: Measurement) -> Mapping[str, Any]:
    return {
        name: value for name, value in m.recipe.items() if name not in NOT_COMPARED | _BY_QUESTION
    }


def _variables(entries: Sequence[Entry]) -> Callable[[Measurement], Mapping[str, Any]]:
    """Also those that a worker was not given; a job without a worker has no variables at all."""
    names = {name for one in entries for name in one.measurement.environment}
    return lambda m: {name: m.environment.get(name) for name in names} if m.environment else {}


def _recipe_key(recipe: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in recipe.items() if name not in NOT_COMPARED}
    return json.dumps(kept, sort_keys=True)


def _sortable(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then everything else by its text."""
    if isinstance(value, (int, float)):
        return 0, float(value), ""
    return 1, 0.0, str(value)


def recipe_differences(compared: Sequence[Group]) -> list[tuple[str, dict[str, Any]]]:
    """Recipe fields in which the backends of one comparison differ: (field, {backend: value})."""
    names = sorted({name for group in compared for name in group.recipe} - NOT_COMPARED)
    found = []
    for name in names:
        values = {group.backend: group.recipe.get(name) for group in compared}
        if len({json.dumps(value) for value in values.values()}) > 1:
            found.append((name, values))
    return found


def _gaps(group: Group) -> dict[str, Gap]:
    return {name.rsplit(".", 1)[-1]: gap for m in group.ok for name, gap in m.gaps.items()}
