"""What the options ask for: option values become a choice and a plan."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from benchmarks.harness.cli.options import OPTIONS, QUESTIONS
from benchmarks.harness.data import tasks
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine import budgets, gpu_types, processor
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan, command_line
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.plan.sections import Fields
from benchmarks.harness.plan.validation import parse_overrides
from benchmarks.harness.run.user_code import own_backend
from frameworks.contract import Metric
from results.schema import Question

THREADS = "FTBENCH_THREADS"  # the default of --threads
MODEL = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)  # its name is a part of file names


def changed_options(values: Mapping[str, Any]) -> list[str]:
    """The options that are not at their defaults; `values` holds them by name."""
    defaults = {
        flag: settings.get("default", False if "action" in settings else None)
        for flag, settings in OPTIONS
    }
    return [
        flag
        for flag, default in defaults.items()
        if values[flag.removeprefix("--").replace("-", "_")] != default
    ]


def read_choice(get: Callable[[str], Any]) -> Choice:
    """The choice that the options describe; `get` gives an option by its name.

    Errors: UserError for options that do not fit together or hold a wrong value."""
    for flag, _ in OPTIONS:
        value = get(flag.removeprefix("--").replace("-", "_"))
        if value == "" or (isinstance(value, list) and "" in value):
            raise UserError(f"{flag} is empty: give a value, or leave it out")
    for question in get("question"):
        if question not in QUESTIONS:
            raise unknown("question", question, QUESTIONS)
    custom = _own_task(get)
    return Choice(
        profile=get("profile"),
        backends=[*get("backend"), *map(_own_backend, get("model"))],
        tasks=get("task"),
        questions=get("question"),
        data=get("data"),
        checkpoint=get("checkpoint"),
        device=get("device"),
        threads=_threads(get("threads")),
        recipe=parse_overrides(get("recipe")),
        allow_pickle=get("allow_pickle"),
        custom_task=custom,
        batch_limit=_limit_choice(get),
        throughput=_speed_choice(get),
        accuracy=_accuracy_choice(get),
        track=get("track"),
    )


def _own_backend(model: str) -> str:
    """The backend that trains a model of the user's. Errors: UserError where none can."""
    if not MODEL.fullmatch(model):
        raise UserError(f"--model {model!r}: write MODULE:FUNCTION, such as my_module:build")
    return own_backend(model, Path.cwd())


def _own_task(get: Callable[[str], Any]) -> dict[str, Any] | None:
    """The arguments of `tasks.custom_task`. Errors: UserError for options that do not fit together."""
    columns = {name: get(f"{name}_column") for name in ("text", "second", "label")}
    custom = None
    if get("dataset"):
        _check_columns(columns)
        for name in ("text", "label"):
            if columns[name] is None:
                raise UserError(
                    f"--dataset {get('dataset')}: add --{name}-column COLUMN, the column that holds "
                    f"the {name}"
                )
        custom = {
            "path_or_hub_id": get("dataset"),
            **columns,
            "evaluation": get("evaluation_dataset"),
        }
        custom["name"] = tasks.custom_task(**custom).name
    elif any(columns.values()) or get("evaluation_dataset"):
        raise UserError(
            "--text-column, --second-column, --label-column and --evaluation-dataset need "
            "--dataset: add it, or leave them out"
        )
    if custom and get("task"):
        raise UserError(
            f"--task {get('task')[0]}: cannot be combined with --dataset, which is a task of its own: "
            "leave out one of the two"
        )
    return custom


def _check_columns(columns: Mapping[str, str | None]) -> None:
    """Raises UserError for a column that is named twice."""
    flags: dict[str, str] = {}
    for name, column in columns.items():
        if column is not None and column in flags:
            raise UserError(
                f"--{name}-column {column!r}: {flags[column]} names the same column: name another"
            )
        if column is not None:
            flags[column] = f"--{name}-column"


def _speed_choice(get: Callable[[str], Any]) -> Fields:
    """The options of the profile's section [throughput]. Errors: UserError for a wrong time."""
    minutes = get("until_minutes")
    if minutes is not None and minutes < 1:
        raise UserError(f"--until-minutes {minutes}: use a whole number of minutes, 1 or more")
    chosen = {"until": get("until"), "until_minutes": minutes}
    return {name: value for name, value in chosen.items() if value is not None}


def _accuracy_choice(get: Callable[[str], Any]) -> Fields:
    """The options of the profile's section [accuracy]. Errors: UserError for an unknown metric."""
    try:
        metrics = TypeAdapter(list[Metric]).validate_python(get("metric"))
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"--metric {reason}") from None
    chosen = {
        "keep_models": get("keep_models"),
        "checkpoint_interval": _interval(get("checkpoint_interval")),
        "metrics": metrics,
    }
    return {name: value for name, value in chosen.items() if value}


def _interval(typed: str | None) -> int | str | None:
    """Steps between checkpoints. Errors: UserError."""
    if typed is None or typed == "epoch":
        return typed
    steps = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
    if not steps:
        raise UserError(
            f"--checkpoint-interval {typed!r}: use a number of optimizer steps, 1 or more, or epoch"
        )
    return steps


def _threads(typed: str | None) -> int | None:
    """The number of threads that was typed, or that the variable names; None if neither.

    Errors: UserError for anything but a number from 1 to the cores that this process may use."""
    name, text = ("--threads", typed) if typed is not None else (THREADS, os.environ.get(THREADS))
    if not text:
        return None
    cores = processor.usable_cores()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= cores:
        raise UserError(
            f"{name} {text!r}: use a number from 1 to {cores}, the cores that this process may use"
        )
    return int(text)


def _limit_choice(get: Callable[[str], Any]) -> Fields:
    """The options of the profile's section [batch_limit]. Errors: UserError for a wrong budget."""
    for size in get("budget"):
        if budgets.size_bytes(size) is None and size != budgets.DEVICE:
            raise UserError(
                f"--budget {size!r}: use a size such as 6GiB, or {budgets.DEVICE!r} for all free "
                "memory; name a GPU type with --gpu"
            )
        budgets.check_label(size, "--budget")
    for name in get("gpu"):
        gpu_types.gpu_type(name)
    chosen = {
        "budgets": [*get("budget"), *get("gpu")],
        "phases": get("phase"),
        "compare_finders": get("compare_finders"),
    }
    return {name: value for name, value in chosen.items() if value}


def plan_from_options(
    get: Callable[[str], Any], command: Sequence[str], question: Question | None = None
) -> Plan:
    """The plan that the options describe; `get` gives an option by its name, `command` is the whole
    command line. With `question` the plan is for that question alone, whatever the profile says.

    Errors: UserError for whatever is wrong with options, profile or recipe."""
    choice = read_choice(get)
    profile = load_profile(choice.profile)
    if question:
        profile = profile.model_copy(update={"questions": [question]})
    return make_plan(choice, profile, tasks.task_names(), command_line(command))
