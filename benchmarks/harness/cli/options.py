"""The options that `ftbench` commands and `pytest benchmarks` take. Imports nothing of the harness, so
that `--help` answers at once."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Callable, Collection
from typing import Any

QUESTIONS = ("equivalence", "throughput", "memory", "batch_limit", "accuracy")
PHASES = ("training", "evaluation")
TRACKERS = ("wandb", "tensorboard", "mlflow", "trackio")
Settings = dict[str, Any]  # what argparse's and pytest's `add` take


def one(metavar: str, help: str, **settings: Any) -> Settings:
    return {"metavar": metavar, "help": help, **settings}


def repeatable(help: str, **settings: Any) -> Settings:
    return {"action": "append", "default": [], "help": f"{help}; repeatable", **settings}


def switch(help: str) -> Settings:
    return {"action": "store_true", "help": help}


RESULTS = one("FOLDER", "runs are stored in FOLDER/runs (default: results)", default="results")
OPTIONS: list[tuple[str, Settings]] = [
    (
        "--profile",
        one(
            "NAME",
            "the work to measure: a profile of `ftbench list` or a TOML file (default: quick)",
            default="quick",
        ),
    ),
    ("--backend", repeatable("run this backend only", metavar="NAME")),
    (
        "--model",
        repeatable(
            "run only this model of your own, and the backends named with --backend; FUNCTION returns a "
            "torch.nn.Module or a keras.Model",
            metavar="MODULE:FUNCTION",
        ),
    ),
    ("--task", repeatable("run this task only", metavar="NAME")),
    (
        "--question",
        repeatable(f"answer this question only: {', '.join(QUESTIONS)}", metavar="NAME"),
    ),
    (
        "--data",
        one(
            "SOURCE",
            "where the texts come from: embedded (generated), hub (downloaded from the Hugging Face "
            "hub), or dir:PATH, a folder of parquet files with the same columns",
        ),
    ),
    (
        "--checkpoint",
        one(
            "NAME",
            "the model to fine-tune: a checkpoint of `ftbench list`, a folder, a Hugging Face hub id, or "
            "random:ARCHITECTURE for random weights (speed and memory only)",
        ),
    ),
    (
        "--device",
        {
            "default": "auto",
            "choices": ["auto", "cpu", "gpu"],
            "help": "where to train; auto, the default, uses the GPU if there is one",
        },
    ),
    (
        "--threads",
        one(
            "N",
            "number of threads of every worker (default: the environment variable FTBENCH_THREADS, or "
            "all cores that the process may use)",
        ),
    ),
    (
        "--recipe",
        repeatable(
            "override a field of every job's recipe, such as batch_size=8", metavar="FIELD=VALUE"
        ),
    ),
    (
        "--until",
        {
            "choices": ["planned", "decided"],
            "help": "throughput only: 'planned' runs as many launches as the profile says; 'decided' adds "
            "launches, up to 12, until the race has a winner or shows that there is none",
        },
    ),
    (
        "--until-minutes",
        one("MINUTES", "throughput only: the time limit of a race with --until decided", type=int),
    ),
    (
        "--budget",
        repeatable(
            "batch_limit only: find the largest batch within this much memory, such as 6GiB, or "
            "'device' for all free memory (the default)",
            metavar="SIZE",
        ),
    ),
    (
        "--gpu",
        repeatable(
            "batch_limit only: find the largest batch within the memory of this smaller GPU, such "
            "as T4, emulated on the GPU of this machine",
            metavar="TYPE",
        ),
    ),
    (
        "--phase",
        repeatable(
            "batch_limit only: find the largest batch for training (the default) or evaluation",
            choices=list(PHASES),
        ),
    ),
    (
        "--compare-finders",
        switch(
            "batch_limit only: also search with accelerate's batch size finder and by doubling, to compare "
            "their answers and times"
        ),
    ),
    (
        "--keep-models",
        switch("accuracy only: save every trained model in models/ of the run's folder"),
    ),
    (
        "--checkpoint-interval",
        one(
            "STEPS",
            "accuracy only: write a checkpoint of the training every STEPS optimizer steps, or after each "
            "'epoch', so that a resumed run continues from the last one (default: no checkpoints)",
        ),
    ),
    (
        "--metric",
        repeatable(
            "accuracy only: also score by this metric: weighted_f1, mcc (Matthews's correlation), or "
            "module:function of your own, called with the predicted and the true labels",
            metavar="NAME",
        ),
    ),
    (
        "--track",
        repeatable(
            "send the learning curves, scores and settings of every training of the question accuracy to this "
            "tracker, and all figures at the end",
            choices=list(TRACKERS),
        ),
    ),
    ("--results", RESULTS),
    (
        "--allow-pickle",
        switch(
            "read a checkpoint's pickled weights (pytorch_model.bin) if it has no safetensors file"
        ),
    ),
    (
        "--dataset",
        one(
            "PATH",
            "train on your own data: a CSV, TSV, JSON, JSON Lines or parquet file (or .gz of it), a "
            "folder with train and test parts, or a Hugging Face hub id; needs --text-column and --label-column",
        ),
    ),
    (
        "--evaluation-dataset",
        one("PATH", "the file to evaluate on; without it, a part of --dataset is split off"),
    ),
    ("--text-column", one("COLUMN", "the column of --dataset that holds the text")),
    (
        "--second-column",
        one("COLUMN", "the column of --dataset that holds the second text of a pair"),
    ),
    ("--label-column", one("COLUMN", "the column of --dataset that holds the label")),
]
PREDICT_OPTIONS: list[tuple[str, Settings]] = [
    (
        "--checkpoint",
        one(
            "NAME",
            "a checkpoint of `ftbench list`, a folder or a Hugging Face hub id; only its config.json is read "
            "(default: the profile's, or minilm)",
        ),
    ),
    ("--task", one("NAME", "use the recipe that the profile has for this task")),
    ("--profile", one("NAME", "the profile that --task belongs to (default: quick)")),
    (
        "--recipe",
        repeatable("set a field of the recipe, such as precision=bf16", metavar="FIELD=VALUE"),
    ),
    (
        "--length",
        repeatable("predict for this sequence length in tokens", type=int, metavar="TOKENS"),
    ),
    ("--backend", repeatable("predict for this backend only", metavar="NAME")),
    (
        "--gpu",
        repeatable(
            "predict for this GPU type; default: all types, unless --budget is given",
            metavar="TYPE",
        ),
    ),
    (
        "--budget",
        repeatable(
            "predict the largest batch within this much memory of a CPU, such as 6GiB; with --gpu, of a GPU "
            "too",
            metavar="SIZE",
        ),
    ),
    (
        "--phase",
        {
            "default": "training",
            "choices": list(PHASES),
            "help": "predict the largest batch for training or for evaluation",
        },
    ),
    ("--json", switch("print the predictions as JSON")),
    (
        "--check",
        {
            "nargs": "+",
            "metavar": "RUN",
            "help": "compare predictions with the limits measured in these runs and with published "
            "ones; the comparison is stored in the first run",
        },
    ),
    ("--results", RESULTS),
]


# The options that apply to one question.
SPEED_OPTIONS = ("--until", "--until-minutes")
LIMIT_OPTIONS = ("--budget", "--gpu", "--phase", "--compare-finders")
ACCURACY_OPTIONS = ("--keep-models", "--checkpoint-interval", "--metric")


def add_options(add: Callable[..., Any], hidden: Collection[str] = ()) -> None:
    """Registers the shared options through `add`: argparse's or pytest's. `hidden` are those that the
    command rejects with a reason: its help does not show them."""
    for flag, settings in OPTIONS:
        add(flag, **settings | ({"help": SUPPRESS} if flag in hidden else {}))
