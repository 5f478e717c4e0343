"""Expands a profile and the command line into the list of jobs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine import budgets, packages, processor
from benchmarks.harness.plan.checks import check_jobs
from benchmarks.harness.plan.plan import Choice, JobSpec, Plan, traced
from benchmarks.harness.plan.profile import Profile
from benchmarks.harness.plan.sections import EquivalencePlan, Fields
from benchmarks.harness.plan.validation import explain
from frameworks import contract
from frameworks.contract import Recipe
from results.schema import PLAIN, JobKey, Question, Role
from results.schema.job import participant


def make_plan(choice: Choice, profile: Profile, known_tasks: Sequence[str], command: str) -> Plan:
    """Makes the plan of a run. Jobs are in the order in which they run: question by question, so
    that all timing is finished before the long trainings begin.

    Raises UserError for an unknown backend, task or question, and for a recipe that is invalid
    once its layers are combined."""
    backends = list(dict.fromkeys(choice.backends or profile.backends))
    for backend in backends:
        if backend not in contract.backends():
            raise unknown("backend", backend, contract.backends())
    profile, tasks = _with_tasks(choice, profile, known_tasks)
    profile = profile.model_copy(
        update={
            "batch_limit": profile.batch_limit.model_copy(update=choice.batch_limit),
            "throughput": profile.throughput.model_copy(update=choice.throughput),
            "accuracy": profile.accuracy.with_options(choice.accuracy),
        }
    )
    try:
        jobs = list(_jobs(choice, profile, backends, tasks))
    except ValidationError as error:
        raise UserError(f"recipe: {explain(error, Recipe)}") from None
    check_jobs(choice, profile, jobs)
    return Plan(
        profile=Path(choice.profile).stem,
        checkpoint=choice.checkpoint or profile.checkpoint,
        data=choice.data or (None if choice.custom_task else profile.data),
        data_seed=profile.data_seed,
        code_folder=str(Path.cwd()),
        device=choice.device,
        allow_pickle=choice.allow_pickle,
        custom_task=choice.custom_task,
        examples={task: profile.tasks[task].data({}) for task in tasks},
        target_accuracies=_target_accuracies(profile, tasks, jobs),
        job_seconds=profile.job_seconds,
        threads=choice.threads or processor.usable_cores(),
        side_by_side=profile.side_by_side,
        track=list(dict.fromkeys(choice.track or profile.track)),
        equivalence=profile.equivalence,
        throughput=profile.throughput,
        memory=profile.memory,
        batch_limit=profile.batch_limit,
        accuracy=profile.accuracy,
        tuning=profile.tuning,
        jobs=jobs,
        command=command,
        tunes=False,
    )


def _target_accuracies(
    profile: Profile, tasks: Sequence[str], jobs: Sequence[JobSpec]
) -> dict[str, float]:
    """Errors: UserError for a target that no evaluation during training could find reached."""
    targets = {t: target for t in tasks if (target := profile.tasks[t].target_accuracy)}
    for key, recipe in ((spec.key, spec.recipe) for spec in jobs):
        if key.question == "accuracy" and key.task in targets and not recipe.evaluation_interval:
            raise UserError(
                f"tasks.{key.task}.target_accuracy = {targets[key.task]:g} needs evaluations during "
                "training: set evaluation_interval in the recipe, such as evaluation_interval = 100"
            )
    return targets


def _with_tasks(
    choice: Choice, profile: Profile, known_tasks: Sequence[str]
) -> tuple[Profile, list[str]]:
    """The profile with the user's own task, if there is one, and the names of the chosen tasks.
    The own task uses all its examples, and the recipe of the profile's first task."""
    tasks = list(dict.fromkeys(choice.tasks or profile.tasks))
    if choice.custom_task:
        name = str(choice.custom_task["name"])
        first = next(iter(profile.tasks.values()))
        own = first.model_copy(update={"train_examples": None, "evaluation_examples": None})
        return profile.model_copy(update={"tasks": {**profile.tasks, name: own}}), [name]
    for task in tasks:
        if task not in known_tasks:
            raise unknown("task", task, known_tasks)
        if task not in profile.tasks:
            raise UserError(
                f"profile {choice.profile!r} has no task {task!r}; it has "
                f"{', '.join(profile.tasks)}: choose one, or add [tasks.{task}]"
            )
    return profile, tasks


def _jobs(
    choice: Choice, profile: Profile, backends: Sequence[str], tasks: Sequence[str]
) -> Iterator[JobSpec]:
    questions = [q for q in profile.questions if not choice.questions or q in choice.questions]
    # A limit takes long, so no profile includes it by default; --question adds it.
    if "batch_limit" in choice.questions and "batch_limit" not in questions:
        questions.append("batch_limit")
    for question, task in itertools.product(questions, tasks):
        if question == "batch_limit":
            yield from _limit_jobs(choice, profile, task, backends)
            continue
        if profile.changes and question in ("throughput", "memory", "accuracy"):
            yield from _named_jobs(choice, profile, question, task, backends)
            continue
        combinations = list(_varied_values(question, profile, choice))
        asked = "equivalence" in choice.questions or questions == ["equivalence"]
        chosen = traced(backends, asked) if question == "equivalence" else backends
        participants = list(_participants(question, profile, chosen))
        for varied, (backend, role) in itertools.product(combinations, participants):
            recipe = profile.recipe_for(backend, task, varied, choice.recipe)
            label = "".join(f"-{field}_{value}" for field, value in varied.items())
            key = JobKey(
                id=f"{question}-{task}-{participant(backend, role)}{label}",
                backend=backend,
                task=task,
                question=question,
                role=role,
            )
            yield JobSpec(
                key=key,
                recipe=_for_question(recipe, question, profile, varied),
                environment=profile.environment.get(backend, {}),
            )


def _named_jobs(
    choice: Choice, profile: Profile, question: Question, task: str, backends: Sequence[str]
) -> Iterator[JobSpec]:
    """A study of named changes, backend by backend: the changes of one backend race each other. Only the
    plain recipe has controls, and its memory is measured twice: the difference is the noise of the
    savings. Accuracy is measured with each change and each seed."""
    for name in (name for change in profile.changes for name in profile.recipe_change(change)):
        if name in choice.recipe:
            raise UserError(
                f"--recipe {name}: profile {choice.profile!r} has changes that set "
                "it; omit it, or change them in a profile of your own"
            )
    seeds: list[Fields] = [{}]
    if question == "accuracy":
        seeds = list(_varied_values(question, profile, choice))
    names = (PLAIN, *profile.changes)
    for one, change, seed in itertools.product(backends, names, seeds):
        fields = profile.recipe_change(change) | seed
        recipe = profile.recipe_for(one, task, fields, choice.recipe)
        label = "".join(f"-seed_{value}" for value in seed.values())
        participants = list(_participants(question, profile, [one]))
        if question == "memory":
            participants.append((one, "repeat"))
        for backend, role in participants:
            if role != "framework" and change != PLAIN:
                continue
            key = JobKey(
                id=f"{question}-{task}-{participant(backend, role)}-{change}{label}",
                backend=backend,
                task=task,
                question=question,
                role=role,
                change=change,
            )
            yield JobSpec(
                key=key,
                recipe=_for_question(recipe, question, profile, fields),
                environment=profile.environment.get(backend, {}),
                data=profile.data_of(task, change),
            )


def _limit_jobs(
    choice: Choice, profile: Profile, task: str, backends: Sequence[str]
) -> Iterator[JobSpec]:
    """One search per budget and phase, the smallest budget first."""
    if "batch_size" in choice.recipe:
        raise UserError("--recipe batch_size: a batch limit searches for the batch size; omit it")
    plan = profile.batch_limit
    labels = budgets.sort_budgets(plan.budgets or [budgets.DEVICE])
    for varied, budget, phase, backend in itertools.product(
        _varied_values("batch_limit", profile, choice), labels, dict.fromkeys(plan.phases), backends
    ):
        recipe = profile.recipe_for(backend, task, varied, choice.recipe)
        label = "".join(f"-{field}_{value}" for field, value in varied.items())
        label += f"-budget_{budget}" + ("" if phase == "training" else f"-{phase}")
        key = JobKey(
            id=f"batch_limit-{task}-{backend}{label}",
            backend=backend,
            task=task,
            question="batch_limit",
        )
        yield JobSpec(
            key=key,
            recipe=_for_question(recipe, "batch_limit", profile, varied),
            environment=profile.environment.get(backend, {}),
            budget=budget,
            phase=phase,
        )


def _varied_values(question: Question, profile: Profile, choice: Choice) -> Iterator[Fields]:
    """The combinations of recipe fields that a question varies. A field on the command line
    replaces all values that the profile has for it."""
    varied = {
        name: values
        for name, values in _varied(question, profile).items()
        if name not in choice.recipe
    }
    combinations = [
        dict(zip(varied, values, strict=True)) for values in itertools.product(*varied.values())
    ]
    yield from combinations
    if question == "equivalence":  # the name of an fp32 trace omits the precision
        for precision in profile.equivalence.precisions:
            if precision != "fp32":
                yield {**combinations[0], "precision": precision}


def _varied(question: Question, profile: Profile) -> dict[str, list[Any]]:
    """The recipe fields that a question varies, with their values."""
    if question == "accuracy":
        return {"seed": list(profile.accuracy.seeds)}
    if question == "equivalence":
        return {"accumulation": list(profile.equivalence.accumulations)}
    if question == "batch_limit":
        return {name: values for name, values in profile.vary.items() if name != "batch_size"}
    return profile.vary


def _participants(
    question: Question, profile: Profile, backends: Sequence[str]
) -> Iterator[tuple[str, Role]]:
    """The participants of a race, in order: every backend followed by its control, and at the end
    the first installed backend again, as far from its first turn as possible."""
    races = question == "throughput"
    for backend in backends:
        yield backend, "framework"
        if races and profile.throughput.control:
            yield backend, "control"
    if races and profile.throughput.noise_pair:
        yield (
            next((b for b in backends if packages.missing_packages(b) is None), backends[0]),
            "repeat",
        )


def _for_question(recipe: Recipe, question: str, profile: Profile, varied: Fields) -> Recipe:
    """Applies what a question fixes in the recipe: the number of steps, and full-length batches for
    memory, so that the peak does not depend on which examples were drawn. Traces disable
    randomness and enable every feature that backends could implement differently."""
    if question == "throughput":
        changes: Fields = {"steps": profile.throughput.training_steps}
    elif question == "memory":
        # One more step than those whose peak is measured, for the phases of a step.
        changes = {"steps": profile.memory.steps + 1, "padding": "max"}
    elif question == "batch_limit":  # the search sets the batch size
        changes = {"steps": profile.batch_limit.steps, "padding": "max", "batch_size": 1}
    elif question == "equivalence":
        plan = profile.equivalence
        changes = {
            "steps": plan.steps,
            "batch_size": plan.batch_size,
            "precision": varied.get("precision", "fp32"),
            "dropout": 0.0,
            # None: the worker puts the median norm of the first steps here.
            "max_gradient_norm": plan.max_gradient_norm or recipe.max_gradient_norm,
            "log_interval": 1,
            "schedule": "linear" if recipe.schedule == "constant" else recipe.schedule,
            "warmup_share": recipe.warmup_share or 0.1,
            "learning_rate": _traced_rate(recipe, plan),
            "weight_decay": plan.weight_decay,
            "epsilon": recipe.epsilon if recipe.optimizer == "adafactor" else plan.epsilon,
        }
    else:
        return recipe
    changes |= {"evaluation_interval": 0, "keep_best": None, "patience": 0}
    return recipe.model_copy(update=changes)


def _traced_rate(recipe: Recipe, plan: EquivalencePlan) -> float:
    """Rounding errors grow with the rate; the rates of other optimizers have another scale."""
    adamw = recipe.optimizer.startswith("adamw")
    return min(recipe.learning_rate, plan.max_learning_rate) if adamw else recipe.learning_rate
