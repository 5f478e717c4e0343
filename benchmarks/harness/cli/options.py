"""The options that `ftbench run` and `pytest benchmarks` share, said once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.harness.data import tasks
from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import budgets, gpu_types
from benchmarks.harness.plan.expand import make_plan
from benchmarks.harness.plan.plan import Choice, Plan, command_line
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.plan.sections import Fields
from benchmarks.harness.plan.validation import parse_overrides
from results.schema import Question

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    (
        "--profile",
        {
            "default": "quick",
            "metavar": "NAME",
            "help": "which work: a name that `ftbench list` shows, or a TOML file",
        },
    ),
    (
        "--backend",
        {
            "action": "append",
            "default": [],
            "metavar": "NAME",
            "help": "only this backend; may be given again",
        },
    ),
    (
        "--task",
        {
            "action": "append",
            "default": [],
            "metavar": "NAME",
            "help": "only this task; may be given again",
        },
    ),
    (
        "--question",
        {
            "action": "append",
            "default": [],
            "metavar": "NAME",
            "help": "only equivalence, throughput, memory, batch_limit or accuracy; "
            "may be given again",
        },
    ),
    (
        "--data",
        {
            "metavar": "SOURCE",
            "help": "embedded (generated text), hub, or dir:PATH with "
            "parquet files in the hub's column convention",
        },
    ),
    (
        "--checkpoint",
        {
            "metavar": "NAME",
            "help": "a name that `ftbench list` shows, a folder, a "
            "hub id, or random:ARCHITECTURE (speed and memory only)",
        },
    ),
    (
        "--device",
        {
            "default": "auto",
            "choices": ["auto", "cpu", "gpu"],
            "help": "auto takes the GPU where there is one",
        },
    ),
    (
        "--recipe",
        {
            "action": "append",
            "default": [],
            "metavar": "FIELD=VALUE",
            "help": "replaces a field of every job's recipe, such as batch_size=8; may be "
            "given again",
        },
    ),
    (
        "--budget",
        {
            "action": "append",
            "default": [],
            "metavar": "SIZE",
            "help": "of a batch limit: such as 6GiB, or 'device' for all that is free (the "
            "default); may be given again",
        },
    ),
    (
        "--gpu",
        {
            "action": "append",
            "default": [],
            "metavar": "TYPE",
            "help": "of a batch limit: the memory of a smaller GPU, such as T4, emulated on "
            "this one; may be given again",
        },
    ),
    (
        "--phase",
        {
            "action": "append",
            "default": [],
            "choices": ["training", "evaluation"],
            "help": "of a batch limit: the largest batch that trains (the default), or that "
            "predicts; may be given again",
        },
    ),
    (
        "--compare-finders",
        {
            "action": "store_true",
            "help": "of a batch limit: accelerate's finder "
            "and doubling with halving search too, on the same work",
        },
    ),
    (
        "--results",
        {"default": "results", "metavar": "FOLDER", "help": "runs are kept in FOLDER/runs"},
    ),
    (
        "--allow-pickle",
        {
            "action": "store_true",
            "help": "read weights from a pickle "
            "(pytorch_model.bin) where a checkpoint has no safetensors",
        },
    ),
    (
        "--dataset",
        {
            "metavar": "PATH",
            "help": "your own task: a CSV, TSV, JSON, JSON Lines or parquet file (or .gz of it), "
            "a folder with train and test parts, or a hub id; needs --text-column and "
            "--label-column",
        },
    ),
    (
        "--evaluation-dataset",
        {
            "metavar": "PATH",
            "help": "the file to evaluate on; without it, a part of --dataset is split off",
        },
    ),
    ("--text-column", {"metavar": "COLUMN", "help": "its text"}),
    ("--second-column", {"metavar": "COLUMN", "help": "its second text, for sentence pairs"}),
    ("--label-column", {"metavar": "COLUMN", "help": "its label, an integer or a string"}),
]
# Of `ftbench predict`, which asks for no run.
PREDICT_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    (
        "--checkpoint",
        {
            "metavar": "NAME",
            "help": "a name that `ftbench list` shows, a folder or a "
            "hub id; only its config.json is read (default: the profile's, or minilm)",
        },
    ),
    ("--task", {"metavar": "NAME", "help": "the task whose recipe in the profile is taken"}),
    (
        "--profile",
        {"metavar": "NAME", "help": "the profile that --task stands in (default: quick)"},
    ),
    (
        "--recipe",
        {
            "action": "append",
            "default": [],
            "metavar": "FIELD=VALUE",
            "help": "a field of the recipe, such as precision=bf16; may be given again",
        },
    ),
    (
        "--length",
        {
            "action": "append",
            "default": [],
            "type": int,
            "metavar": "TOKENS",
            "help": "the recipe's length; may be given again",
        },
    ),
    (
        "--backend",
        {
            "action": "append",
            "default": [],
            "metavar": "NAME",
            "help": "only this backend; may be given again",
        },
    ),
    (
        "--gpu",
        {
            "action": "append",
            "default": [],
            "metavar": "TYPE",
            "help": "only this GPU type; "
            "may be given again; all where neither --gpu nor --budget is given",
        },
    ),
    (
        "--budget",
        {
            "action": "append",
            "default": [],
            "metavar": "SIZE",
            "help": "an amount of "
            "memory, such as 6GiB: of a process on a CPU, and with --gpu of a GPU too; may "
            "be given again",
        },
    ),
    (
        "--phase",
        {
            "default": "training",
            "choices": ["training", "evaluation"],
            "help": "what the batch is for",
        },
    ),
    ("--json", {"action": "store_true", "help": "print the predictions as JSON"}),
    (
        "--check",
        {
            "nargs": "+",
            "metavar": "RUN",
            "help": "hold predictions against the limits that "
            "these runs have measured, and against published ones; kept in the first",
        },
    ),
    (
        "--results",
        {"default": "results", "metavar": "FOLDER", "help": "runs are kept in FOLDER/runs"},
    ),
]
CHOICES = {"equivalence", "throughput", "memory", "batch_limit", "accuracy"}


def add_options(add: Callable[..., Any]) -> None:
    """Registers all options through `add`: argparse's or pytest's."""
    for flag, settings in OPTIONS:
        add(flag, **settings)


def given(values: Mapping[str, Any]) -> list[str]:
    """The options that are not at their defaults; `values` by name."""
    unset = {
        flag: settings.get("default", False if "action" in settings else None)
        for flag, settings in OPTIONS
    }
    return [
        flag
        for flag, default in unset.items()
        if values[flag.removeprefix("--").replace("-", "_")] != default
    ]


def read_choice(get: Callable[[str], Any]) -> Choice:
    """The choice that the options make; `get` gives an option by its name.

    Errors: UserError for options that do not fit together or hold a wrong value."""
    for question in get("question"):
        if question not in CHOICES:
            raise UserError(f"unknown question {question!r}: known: {', '.join(sorted(CHOICES))}")
    columns = {name: get(f"{name}_column") for name in ("text", "second", "label")}
    custom = None
    if get("dataset"):
        for name in ("text", "label"):
            if columns[name] is None:
                raise UserError(
                    f"--dataset {get('dataset')}: --{name}-column is missing; name "
                    f"the column that holds the {name}"
                )
        custom = {
            "path_or_hub_id": get("dataset"),
            **columns,
            "evaluation": get("evaluation_dataset"),
        }
        custom["name"] = tasks.custom_task(**custom).name
    elif any(columns.values()) or get("evaluation_dataset"):
        raise UserError(
            "--text-column, --second-column, --label-column and --evaluation-dataset need --dataset"
        )
    if custom and get("task"):
        raise UserError("--task and --dataset exclude each other: --dataset is the task")
    return Choice(
        profile=get("profile"),
        backends=get("backend"),
        tasks=get("task"),
        questions=get("question"),
        data=get("data"),
        checkpoint=get("checkpoint"),
        device=get("device"),
        recipe=parse_overrides(get("recipe")),
        allow_pickle=get("allow_pickle"),
        custom_task=custom,
        batch_limit=_limit_choice(get),
    )


def _limit_choice(get: Callable[[str], Any]) -> Fields:
    """What the options say of [batch_limit]. Errors: UserError for a budget that is none."""
    for size in get("budget"):
        if budgets.size_bytes(size) is None and size != budgets.DEVICE:
            raise UserError(
                f"--budget {size!r}: write a size such as 6GiB, or {budgets.DEVICE!r} "
                "for all that is free; GPU types go with --gpu"
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


def planned(
    get: Callable[[str], Any], command: Sequence[str], question: Question | None = None
) -> Plan:
    """The plan that the options make, of a command that pytest or `ftbench` was given; with
    `question`, of that one alone, whether the profile asks it or not.

    Errors: UserError for whatever is wrong with options, profile or recipe."""
    choice = read_choice(get)
    profile = load_profile(choice.profile)
    if question:
        profile = profile.model_copy(update={"questions": [question]})
    return make_plan(choice, profile, tasks.task_names(), command_line(command))
