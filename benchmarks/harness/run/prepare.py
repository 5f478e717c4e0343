"""From the plan to job files: data read, texts tokenized and starting weights made, each once.

All of it is done before the first job starts, so that bad input ends a run before it has begun.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.harness.checkpoints import checkpoint as checkpoints
from benchmarks.harness.checkpoints import start as start_checkpoints
from benchmarks.harness.checkpoints import tokenize
from benchmarks.harness.checkpoints.checkpoint import checkpoint_record
from benchmarks.harness.data import sources, tasks
from benchmarks.harness.data import texts as texts_data
from benchmarks.harness.data.choice import DataChoice
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Environment, Excluded, Ready, here
from benchmarks.harness.jobs.environment import worker_environment
from benchmarks.harness.jobs.job import CheckpointPlan, Job, LimitWork, SavedModel, StartFile
from benchmarks.harness.machine import budgets, packages
from benchmarks.harness.machine.device import unsupported_precision
from benchmarks.harness.plan.metrics import asked_metrics, check_metrics
from benchmarks.harness.plan.plan import JobSpec, Plan
from frameworks.contract import Device as DeviceKind
from frameworks.contract import Start, backends, few_examples
from results.schema import PLAIN, Data, Device, JobKey
from results.schema.job import SetSummary


class Inputs:
    """Checkpoint, data and tokens of a plan, each read once and kept for the jobs that follow."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        """Errors: UserError where the checkpoint cannot be found."""
        self._plan, self._say = plan, say
        self.source = checkpoints.find_checkpoint(plan.checkpoint, allow_pickle=plan.allow_pickle)
        self._data: dict[tuple[str, DataChoice], texts_data.TaskData] = {}
        self._texts: dict[tuple[str, DataChoice, int], tokenize.Prepared] = {}
        self._sets: dict[tuple[str, DataChoice, int], list[SetSummary]] = {}

    def data(self, spec: JobSpec) -> texts_data.TaskData:
        """The examples of a job."""
        plan, name = self._plan, spec.key.task
        choice = spec.data or plan.examples[name]
        if (name, choice) not in self._data:
            task = (
                tasks.custom_task(**plan.custom_task)
                if plan.custom_task and plan.custom_task["name"] == name
                else tasks.find_task(name)
            )
            self._say(f"reading {task.title}")
            found = sources.load_data(
                task,
                plan.data,
                train_examples=choice.train_examples,
                evaluation_examples=choice.evaluation_examples,
                seed=plan.data_seed,
                choice=choice,
            )
            self._data[name, choice] = self._with_head_note(found)
            for note in self._data[name, choice].record.notes:
                self._say(f"note on the data: {note}")
        return self._data[name, choice]

    def _with_head_note(self, data: texts_data.TaskData) -> texts_data.TaskData:
        note = start_checkpoints.head_note(self.source, data.task.label_names)
        if note is None:
            return data
        record = data.record.model_copy(update={"notes": [*data.record.notes, note]})
        return dataclasses.replace(data, record=record)

    def texts(self, spec: JobSpec) -> tokenize.Prepared:
        """The tokenized examples of a job."""
        key, length = self._key(spec), spec.recipe.length
        if key not in self._texts:
            data = self.data(spec)
            self._texts[key] = tokenize.tokenize_task(data, self.source, length)
            self._sets[key] = tokenize.summarize(data, self._texts[key])
            self._say(tokenize.describe_data(data, self._sets[key], length))
        return self._texts[key]

    def record(self, spec: JobSpec) -> Data:
        """The record of a job's examples, with a summary of each set. Call `texts` first."""
        return self.data(spec).record.model_copy(update={"sets": self._sets[self._key(spec)]})

    def _key(self, spec: JobSpec) -> tuple[str, DataChoice, int]:
        task = spec.key.task
        return task, spec.data or self._plan.examples[task], spec.recipe.length


def prepare(
    inputs: Inputs,
    plan: Plan,
    specs: Sequence[JobSpec],
    folder: Path,
    device: Device,
    shared: Mapping[str, Environment],
) -> dict[str, Ready | Excluded]:
    """The jobs by id, each ready to run or excluded. `folder` is the run's, `shared` the environments of other
    backends.

    Errors: UserError for everything that is wrong with checkpoint, data or recipe."""
    check_metrics(
        {name: None for spec in specs for name in _metrics(plan, spec)}, Path(plan.code_folder)
    )
    excluded = {
        spec.key.id: excluded_job(spec, inputs.source, device, shared, plan.accuracy.random_weights)
        for spec in specs
    }
    own = here()
    could_run = [spec for spec in specs if excluded[spec.key.id] is None]
    excluded |= _refused_batches(inputs, could_run)

    def environment_of(spec: JobSpec) -> Environment:
        missing = packages.missing_packages(spec.key.backend)
        return shared[spec.key.backend] if missing else own

    return {
        spec.key.id: excluded[spec.key.id]
        or _ready(inputs, plan, spec, folder, device, environment_of(spec))
        for spec in specs
    }


def _refused_batches(inputs: Inputs, specs: Sequence[JobSpec]) -> dict[str, Excluded]:
    """The jobs with a batch that the training examples cannot fill, by id: their figures would stand
    under a batch size that no batch had. A batch limit repeats the examples.

    Errors: UserError where it is every job."""
    found = {}
    chosen = [spec for spec in specs if spec.budget is None]
    for spec in chosen:
        why = few_examples(spec.recipe, inputs.data(spec).record.train_examples)
        if why:
            found[spec.key.id] = Excluded(spec, "refused", why)
    if chosen and len(found) == len(specs):
        first = next(iter(found.values()))
        raise UserError(f"task {first.spec.key.task}: {first.reason}")
    return found


def check_device(specs: Sequence[JobSpec], device: Device) -> None:
    """Errors: UserError for a precision that the device does not support. Traces and the changes of
    a study are skipped with the reason instead."""
    for spec in specs:
        if spec.key.question == "equivalence" or spec.key.change not in (None, PLAIN):
            continue
        why = unsupported_precision(device, spec.recipe.precision)
        if why:
            raise UserError(
                f"precision {spec.recipe.precision!r} on {device.name}: {why}; choose "
                "another with --recipe precision=... or in the profile"
            )


def _ready(
    inputs: Inputs, plan: Plan, spec: JobSpec, folder: Path, device: Device, where: Environment
) -> Ready:
    key, recipe = spec.key, spec.recipe
    texts = inputs.texts(spec)
    data = inputs.record(spec)
    start = start_checkpoints.make_start(inputs.source, data.label_names, recipe.seed)
    job = Job(
        key=key,
        recipe=recipe,
        start=StartFile(**start.__dict__),
        train=texts.train,
        evaluations=texts.evaluations,
        environment=worker_environment(key.backend, device, threads_of(plan, key, device))
        | spec.environment,
        device=device,
        time_limit_seconds=plan.job_seconds,
        equivalence=plan.equivalence,
        throughput=plan.throughput,
        memory=plan.memory,
        limit=_limit(plan, spec),
        model=_saved_model(inputs, plan, spec, folder),
        checkpoints=_checkpoints(plan, spec, folder),
        metrics=_metrics(plan, spec),
        code_folder=Path(plan.code_folder),
        tracked=bool(plan.track),
        predictions=folder / f"{key.id}.npz",
    )
    return Ready(
        job=job, data=data, checkpoint=checkpoint_record(inputs.source, key.backend), where=where
    )


def _metrics(plan: Plan, spec: JobSpec) -> list[str]:
    scored = spec.key.question == "accuracy"
    return asked_metrics(plan.accuracy.metrics, spec.recipe) if scored else []


def threads_of(plan: Plan, key: JobKey, device: Device) -> int:
    """The threads that a job computes with. Traces that run two at a time have half of them each: with
    all of them, they would wait for each other. What a process holds depends on the number, so
    memory jobs keep it."""
    shared = plan.side_by_side and device.kind == "cpu" and key.question == "equivalence"
    return max(1, plan.threads // 2) if shared else plan.threads


def _saved_model(inputs: Inputs, plan: Plan, spec: JobSpec, folder: Path) -> SavedModel | None:
    if spec.key.question != "accuracy" or not plan.accuracy.keep_models:
        return None
    return SavedModel(folder=folder / "models" / spec.key.id, tokenizer=inputs.source.folder)


def _checkpoints(plan: Plan, spec: JobSpec, folder: Path) -> CheckpointPlan | None:
    asked = plan.accuracy
    if spec.key.question != "accuracy" or not asked.checkpoint_interval:
        return None
    return CheckpointPlan(
        folder=folder / "checkpoints" / spec.key.id,
        interval=asked.checkpoint_interval,
        keep=asked.keep_checkpoints,
    )


def _limit(plan: Plan, spec: JobSpec) -> LimitWork | None:
    if spec.budget is None:
        return None
    asked = plan.batch_limit
    return LimitWork(
        budget=spec.budget,
        phase=spec.phase,
        steps=asked.steps,
        highest=asked.highest,
        compare_finders=asked.compare_finders,
    )


def excluded_job(
    spec: JobSpec,
    source: checkpoints.CheckpointSource,
    device: Device,
    shared: Mapping[str, Environment],
    random_weights: bool,
) -> Excluded | None:
    """The reason why a job is not run, before anything is loaded; None if it can run. Only races use
    other environments' workers, because everything else they have measured themselves.

    Errors: UserError for a length beyond the model's, or a budget beyond the device's."""
    checkpoints.check_length(source, spec.recipe.length)
    if spec.budget is not None:
        budgets.check_device(spec.budget, device)
    missing = packages.missing_packages(spec.key.backend)
    if missing and (spec.key.question != "throughput" or spec.key.backend not in shared):
        return Excluded(spec, "not_installed", missing)
    pretrained = backends()[spec.key.backend].pretrained
    scored = spec.key.question == "accuracy" and not random_weights
    if source.random and pretrained and scored:
        return Excluded(
            spec,
            "refused",
            "accuracy is meaningless with random weights: choose a pretrained checkpoint, or set "
            "random_weights = true in the profile's [accuracy]",
        )
    problems = unsupported(spec, source, device.kind)
    why = unsupported_precision(device, spec.recipe.precision)
    if problems or why:
        return Excluded(spec, "unsupported", why or "; ".join(problems))
    return None


def unsupported(
    spec: JobSpec, source: checkpoints.CheckpointSource, device: DeviceKind
) -> list[str]:
    """The settings that the backend itself does not support; asking imports no framework."""
    start = Start(
        folder=source.folder,
        architecture=source.architecture,
        label_count=2,
        vocabulary_size=source.vocabulary_size,
        max_length=source.max_length,
    )
    found = backends()[spec.key.backend].unsupported(spec.recipe, start, device)
    return [str(problem) for problem in found]
