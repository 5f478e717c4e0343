"""How the report knows that the compared backends did the same work: the certificates' words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from results.analysis.compare import Row
from results.analysis.proof import NOT_PROVEN, proof, unproven
from results.report.view import Run, View, compared_entries
from results.schema import Measurement

RunMeasurement = tuple[str, Measurement]  # with the run's name


def proof_of(view: View, measured: Iterable[RunMeasurement]) -> str:
    """What is proven of these measurements; by task where the tasks differ."""
    precisions: dict[tuple[str, str], dict[str, None]] = {}
    for run, m in measured:
        words = precisions.setdefault((run, m.job.task), {})
        if m.job.question != "equivalence":
            words[str(m.recipe.get("precision", "fp32"))] = None
    found = {
        f"{task} ({run})" if view.several_runs else task: _task_proof(view, run, task, compared)
        for (run, task), compared in precisions.items()
    }
    if len(set(found.values())) > 1:
        return "; ".join(f"{name}: {text}" for name, text in found.items())
    return next(iter(found.values()), NOT_PROVEN)


def proof_of_rows(view: View, rows: Sequence[Row]) -> str:
    """What is proven of one comparison."""
    groups = [group for row in rows for same in row.groups.values() for group in same]
    return proof_of(view, ((e.run, e.measurement) for group in groups for e in group.entries))


def proof_of_all(view: View) -> str:
    """What is proven of everything that is compared or traced."""
    measured = [(e.run, e.measurement) for run in view.runs for e in compared_entries(run)]
    measured += [
        (run.name, m)
        for run in view.runs
        for m in run.measurements
        if m.job.question == "equivalence"
    ]
    return proof_of(view, measured)


def _task_proof(view: View, name: str, task: str, compared: Iterable[str]) -> str:
    run = next(run for run in view.runs if run.name == name)
    prover = _prover(view, run, task)
    certificates = [c for c in prover.certificates if c.task == task]
    traces = [
        m for m in prover.measurements if m.job.task == task and m.job.question == "equivalence"
    ]
    text = proof(certificates, view.titles, compared, unproven(traces, certificates))
    return text if prover.name == name else f"{text}, in run {prover.name}"


def _prover(view: View, run: Run, task: str) -> Run:
    """The run whose certificates hold for a task of `run`: itself or, where it has no traces, a run
    of the same commit, versions, texts and weights."""
    if run.certificates or any(m.job.question == "equivalence" for m in run.measurements):
        return run
    return next((other for other in view.runs if _is_same_work(run, other, task)), run)


def _is_same_work(run: Run, other: Run, task: str) -> bool:
    """Whether what another run's certificates prove of a task holds for this run too."""
    commits = {one.info and one.info.commit for one in (run, other)}
    if len(commits) > 1 or None in commits:
        return False
    proven = {
        side.backend for c in other.certificates if c.task == task for side in (c.first, c.second)
    }
    works: dict[str, list[tuple[Any, ...]]] = {}
    for m in (*run.measurements, *other.measurements):
        if m.job.task == task and m.job.backend in proven:
            # The summaries of the sets differ with the recipe's length, the texts do not.
            data = m.data and m.data.model_copy(update={"sets": []})
            works.setdefault(m.job.backend, []).append((data, m.checkpoint, m.versions))
    return bool(works) and all(work == same[0] for same in works.values() for work in same)
