"""The user's own callbacks: to which backend each belongs, before anything is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Excluded, Ready
from benchmarks.harness.jobs.environment import worker_environment
from benchmarks.harness.plan.plan import Plan
from benchmarks.harness.run.user_code import answer_of
from frameworks.contract import backends

Found = dict[str, list[str] | str]  # by callback: its classes, or why it cannot be made


def with_callbacks(jobs: Mapping[str, Ready | Excluded], plan: Plan) -> dict[str, Ready | Excluded]:
    """The jobs, of which those of accuracy have the callbacks of their backend.

    Errors: UserError for a callback that cannot be imported or made, or that belongs to no backend
    of these jobs."""
    trained = {
        name: outcome
        for name, outcome in jobs.items()
        if isinstance(outcome, Ready) and outcome.job.key.question == "accuracy"
    }
    names = plan.accuracy.callbacks
    if not names or not trained:
        return dict(jobs)
    one_of_each = {ready.job.key.backend: ready for ready in trained.values()}
    folder = Path(plan.code_folder)
    found = {backend: _look(names, folder, ready) for backend, ready in one_of_each.items()}
    own = {backend: callbacks_of(backend, answers) for backend, answers in found.items()}
    for name in names:
        if not any(name in chosen for chosen in own.values()):
            raise UserError(f"callbacks = {name!r}: {_why_unused(name, found)}")
    given = {
        name: dataclasses.replace(
            ready,
            job=ready.job.model_copy(update={"callbacks": own[ready.job.key.backend]}),
        )
        for name, ready in trained.items()
    }
    return {**jobs, **given}


def callbacks_of(backend: str, answers: Found) -> tuple[str, ...]:
    """The callbacks whose base class is that of the backend's callbacks."""
    base = backends()[backend].callback_class
    return tuple(
        name for name, found in answers.items() if isinstance(found, list) and base in found
    )


def _why_unused(name: str, found: Mapping[str, Found]) -> str:
    """Why a callback belongs to no backend of the run, and what to do."""
    answers = [answers[name] for answers in found.values()]
    problems = [answer for answer in answers if isinstance(answer, str)]
    if problems:
        return f"{problems[0]}; correct it, or leave the callback out"
    classes = {text for answer in answers for text in answer}
    owners = [name for name, about in backends().items() if about.callback_class in classes]
    if owners:
        return (
            f"it is a callback of {' and '.join(owners)}, which this run does not train: add "
            f"--backend {owners[0]}, or leave the callback out"
        )
    bases = [about.callback_class for name in found if (about := backends()[name]).callback_class]
    wanted = " or ".join(bases) if bases else "another backend's callback class"
    return f"it is a callback of none of {', '.join(found)}: derive its class from {wanted}"


def _look(names: Sequence[str], folder: Path, ready: Ready) -> Found:
    """What a backend's worker finds under these names. Errors: UserError where it gives no answer."""
    backend = ready.job.key.backend
    found: Found = answer_of(
        "callbacks",
        folder,
        *names,
        python=ready.where.python,
        variables=worker_environment(backend, None, threads=1),
        what=f"callbacks = {list(names)}: with {backend}, importing them",
    )
    return found
