"""From the plan to job files: data read, texts tokenised and starting weights made, each once.

All of it is done before the first job starts, so that bad input ends a run before it has begun.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import checkpoints, installed, sources, tasks, tokenised
from benchmarks.harness.devices import lacks
from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs import Job, StartFile
from benchmarks.harness.plan import JobSpec, Plan
from frameworks.contract import BACKENDS, Start
from results.schema import Checkpoint, Data, Device, Status


@dataclass(frozen=True)
class Ready:
    """A job that can run, with what its measurement says about its input."""

    job: Job
    data: Data
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Excluded:
    """A job that cannot run here, and why."""

    spec: JobSpec
    status: Status
    reason: str


def prepare(plan: Plan, specs: list[JobSpec], folder: Path, device: Device,
            say: Callable[[str], None]) -> dict[str, Ready | Excluded]:
    """Job files' content by job id; `folder` is the run's.

    Errors: UserError for everything that is wrong with checkpoint, data or recipe."""
    source = checkpoints.find_checkpoint(plan.checkpoint, allow_pickle=plan.allow_pickle)
    outcome: dict[str, Ready | Excluded] = {}
    for spec in specs:
        checkpoints.check_length(source, spec.recipe.length)
        why = lacks(device, spec.recipe.precision)
        if why:
            raise UserError(f"precision {spec.recipe.precision!r} on {device.name}: {why}; choose "
                            "another with --recipe precision=... or in the profile")
        excluded = exclude(spec, source, device.kind)
        if excluded:
            outcome[spec.key.id] = excluded
    todo = [spec for spec in specs if spec.key.id not in outcome]
    for task_name in dict.fromkeys(spec.key.task for spec in todo):
        task = (tasks.custom_task(**plan.custom_task) if plan.custom_task
                and plan.custom_task["name"] == task_name else tasks.find_task(task_name))
        train_examples, evaluation_examples = plan.sizes[task_name]
        say(f"reading {task.title}")
        data = sources.load_data(task, plan.data, train_examples=train_examples,
                                 evaluation_examples=evaluation_examples, seed=plan.data_seed)
        of_length: dict[int, tokenised.Prepared] = {}
        for spec in (spec for spec in todo if spec.key.task == task_name):
            length = spec.recipe.length
            if length not in of_length:
                of_length[length] = tokenised.tokenise(data, source, length)
            texts = of_length[length]
            start = checkpoints.make_start(source, data.record.label_names, spec.recipe.seed)
            outcome[spec.key.id] = Ready(
                job=Job(
                    key=spec.key, recipe=spec.recipe, start=StartFile(**start.__dict__),
                    train=texts.train, evaluations=texts.evaluations,
                    environment=environment(spec.key.backend, device.kind),
                    time_limit_seconds=plan.job_seconds, throughput=plan.throughput,
                    memory=plan.memory, predictions=folder / f"{spec.key.id}.npz",
                ),
                data=data.record,
                checkpoint=describe(source, spec.key.backend),
            )
    return outcome


def exclude(spec: JobSpec, source: checkpoints.CheckpointSource,
            device: str) -> Excluded | None:
    """Why a job is not run, told before anything is loaded."""
    missing = installed.missing(spec.key.backend)
    if missing:
        return Excluded(spec, "not_installed", missing)
    pretrained = BACKENDS[spec.key.backend].pretrained
    if source.random and pretrained and spec.key.question == "accuracy":
        return Excluded(spec, "refused", "random weights: the accuracy would say nothing; choose "
                        "a pretrained checkpoint")
    problems = unsupported(spec, source, device)
    if problems:
        return Excluded(spec, "unsupported", "; ".join(problems))
    return None


def unsupported(spec: JobSpec, source: checkpoints.CheckpointSource, device: str) -> list[str]:
    """What the backend itself says that it cannot honour; its package imports no framework."""
    start = Start(folder=source.folder, architecture=source.architecture, label_count=2,
                  vocabulary_size=source.vocabulary_size, max_length=source.max_length)
    package = importlib.import_module(f"frameworks.{spec.key.backend}")
    return [str(problem) for problem in package.unsupported(spec.recipe, start, device)]


def describe(source: checkpoints.CheckpointSource, backend: str) -> Checkpoint:
    if BACKENDS[backend].pretrained:
        return Checkpoint(name=source.name, architecture=source.architecture,
                          sha256=source.sha256, random=source.random)
    return Checkpoint(name=f"none (tokenizer of {source.name})", architecture="lstm", sha256="",
                      random=False)


def environment(backend: str, device: str) -> dict[str, str]:
    """Variables that the worker gets on top of its parent's."""
    variables = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
                 "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONHASHSEED": "0",
                 "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # NVML counts in this order
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    if backend == "hf_torch":
        variables["USE_TF"] = "0"  # transformers 4 imports TensorFlow where it finds it
    elif backend == "hf_tf":
        variables |= {"USE_TORCH": "0", "TF_USE_LEGACY_KERAS": "1"}
    else:
        variables["KERAS_BACKEND"] = "tensorflow"
    return variables
