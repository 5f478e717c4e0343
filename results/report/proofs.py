"""How the report knows that the compared backends did the same work: the certificates' words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.analysis.compare import Row
from results.analysis.proof import NOT_PROVEN, proof, unproven
from results.report.document import Proof
from results.report.format import listed
from results.report.view import Run, View, compared_entries
from results.schema import Certificate, Measurement

RunMeasurement = tuple[str, Measurement]  # with the run's name


@dataclass(frozen=True)
class Standing:
    """What certificates prove of some figures, in a few words."""

    proof: Proof
    text: str
    run: str = ""  # the run whose certificates these are; empty where there are none


def standing(view: View, measured: Sequence[RunMeasurement]) -> Standing:
    """Of the figures of one question; where their runs differ, of the one that is proven least."""
    order: tuple[Proof, ...] = ("failed", "unproven", "part", "proven")
    found = [
        _task_standing(view, run, task, compared)
        for (run, task), compared in _precisions(measured).items()
    ]
    return min(
        found,
        key=lambda one: order.index(one.proof),
        default=Standing("unproven", "Same work: not proven"),
    )


def badge(view: View, by_question: Mapping[str, Sequence[RunMeasurement]]) -> Standing:
    """Of all figures of a card, by the word for their question. It says one thing: that all are proven,
    which ones are, or that none is."""
    found = {word: standing(view, some) for word, some in by_question.items() if some}
    failed = [one for one in found.values() if one.proof == "failed"]
    if failed:
        return failed[0]
    proven = [word for word, one in found.items() if one.proof == "proven"]
    if proven and len(proven) < len(found):
        run = found[proven[0]].run
        return Standing("part", f"Same work: proven for {listed(proven)} only", run)
    best: tuple[Proof, ...] = ("proven", "part", "unproven")
    ranked = sorted(found.values(), key=lambda one: best.index(one.proof))
    return ranked[0] if ranked else standing(view, [])


def _task_standing(view: View, name: str, task: str, compared: Iterable[str]) -> Standing:
    run = next(run for run in view.runs if run.name == name)
    prover = _prover(view, run, task)
    certificates, traces = _traced(prover, task)
    text = proof(certificates, view.titles, compared, unproven(traces, certificates))
    text = text.partition(" (")[0]
    text = text[:1].upper() + text[1:]
    if any(not c.holds for c in certificates):
        return Standing("failed", text, prover.name)
    if not certificates:
        return _elsewhere(view, run, task)
    certified = {str(c.recipe.get("precision")) for c in certificates}
    if unproven(traces, certificates) or not certified.issuperset(compared):
        return Standing("part", text, prover.name)
    traced = {side.backend for c in certificates for side in (c.first, c.second)}
    others = {m.job.backend for m in run.measurements if m.job.task == task} - traced
    names = listed([view.title(backend) for backend in view.backends if backend in traced])
    return Standing("proven", f"{text} for {names}" if others else text, prover.name)


def _elsewhere(view: View, run: Run, task: str) -> Standing:
    """Certificates of the same machine that all hold, but not for exactly this work."""
    for other in view.runs:
        certificates, _ = _traced(other, task)
        if (
            other is not run
            and certificates
            and all(c.holds for c in certificates)
            and other.origin.machine == run.origin.machine
        ):
            difference = _difference(run, other, task)
            return Standing("part", f"Same work: proven only with {difference}", other.name)
    return Standing("unproven", "Same work: not proven")


def proof_of(view: View, measured: Iterable[RunMeasurement]) -> str:
    """What is proven of these measurements; by task where the tasks differ."""
    found = {
        f"{task} ({run})" if view.several_runs else task: _task_proof(view, run, task, compared)
        for (run, task), compared in _precisions(measured).items()
    }
    if len(set(found.values())) > 1:
        return "; ".join(f"{name}: {text}" for name, text in found.items())
    return next(iter(found.values()), NOT_PROVEN)


def _precisions(measured: Iterable[RunMeasurement]) -> dict[tuple[str, str], list[str]]:
    """The precisions that were compared, by run and task."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for run, m in measured:
        words = found.setdefault((run, m.job.task), {})
        if m.job.question != "equivalence":
            words[str(m.recipe.get("precision", "fp32"))] = None
    return {key: list(words) for key, words in found.items()}


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
    certificates, traces = _traced(prover, task)
    text = proof(certificates, view.titles, compared, unproven(traces, certificates))
    return text if prover.name == name else f"{text}, in run {prover.name}"


def _traced(run: Run, task: str) -> tuple[list[Certificate], list[Measurement]]:
    """A run's certificates and traces of a task."""
    of_task = [m for m in run.measurements if m.job.task == task]
    traces = [m for m in of_task if m.job.question == "equivalence"]
    return [c for c in run.certificates if c.task == task], traces


def _prover(view: View, run: Run, task: str) -> Run:
    """The run whose certificates hold for a task of `run`: itself or, where it has no traces, a run
    of the same commit, versions, texts and weights."""
    if run.certificates or any(m.job.question == "equivalence" for m in run.measurements):
        return run
    return next((other for other in view.runs if not _difference(run, other, task)), run)


def _difference(run: Run, other: Run, task: str) -> str:
    """Why what another run's certificates prove of a task does not hold for this run; empty where it
    does."""
    proven = {
        side.backend for c in other.certificates if c.task == task for side in (c.first, c.second)
    }
    if not proven:
        return "no certificate"
    works: dict[str, list[tuple[Any, ...]]] = {}
    for m in (*run.measurements, *other.measurements):
        if m.job.task == task and m.job.backend in proven:
            # The summaries of the sets differ with the recipe's length, the texts do not.
            data = m.data and m.data.model_copy(update={"sets": []})
            works.setdefault(m.job.backend, []).append((data, m.checkpoint, m.versions))
    same = bool(works) and all(work == found[0] for found in works.values() for work in found)
    if not same:
        return "other data, weights or library versions"
    commits = {one.info and one.info.commit for one in (run, other)}
    if len(commits) > 1 or None in commits:
        return "another version of ftbench"
    return ""
