"""A job, its device, data and checkpoint."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


def comparison(key: JobKey) -> str:
    """A job's id without its backend and loop; or without its loop and shape."""
    if key.shape:
        return f"{key.question}-{key.task}-{key.backend}"
    return key.id.replace(f"-{participant(key.backend, key.variant)}", "", 1)


def participant(backend: str, variant: Variant) -> str:
    """'hf_torch', 'hf_torch-bare', 'hf_torch-again'."""
    return backend if variant == "framework" else f"{backend}-{variant}"


SCHEMA_VERSION = 1


Question = Literal["equivalence", "throughput", "memory", "batch_limit", "accuracy"]


# Who takes part in a race: the framework's own loop, its barest loop (the control), or the
# framework's own loop once more (what differs between the two is noise).
Variant = Literal["framework", "bare", "again"]


Status = Literal[
    "ok",
    "unsupported",  # the backend cannot honour a field of the recipe
    "not_installed",  # the backend's framework is not installed
    "refused",  # the figure would mislead, such as the accuracy of random weights
    "failed",  # the worker ended with an error
    "killed",  # the worker was ended by a signal that nobody here sent
    "timeout",  # the worker passed the job's time limit and was ended
    "interrupted",  # the run was stopped while the job ran
]


Gap = Literal["no_gpu", "unsupported", "failed", "not_run"]


class Record(BaseModel):
    # A diverged loss is written as "NaN": JSON has no such number, and null would not be read.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


PLAIN = "plain"  # the shape of a study that changes nothing


class JobKey(Record):
    """Names a job inside a run; `id` is also the measurement's file name."""

    id: str
    backend: str
    task: str
    question: Question
    variant: Variant = "framework"
    shape: str | None = None  # a study's name for what it changes in the recipe


class Device(Record):
    kind: Literal["cpu", "gpu"]
    name: str
    memory_bytes: int
    cores: int  # processor cores that the worker may use
    driver: str | None = None
    compute_capability: str | None = None
    gpu_type: str | None = None  # the row of gpus.toml that it is


class Data(Record):
    source: str  # hub, dir or embedded, as the user named it, without its path
    description: str  # 'IMDb, 10,000 of 25,000 training reviews, seed 42'
    generated: bool
    fingerprint: str  # of the texts and labels that were used, hex
    train_examples: int
    evaluation_examples: dict[str, int]  # by evaluation set
    label_names: list[str]
    notes: list[str] = Field(default_factory=list)  # '3 empty texts kept'


class Checkpoint(Record):
    name: str
    architecture: str
    sha256: str  # of the weights file that it came from
    random: bool  # random weights: no accuracy


def tokenizer_of(checkpoint: str) -> str:
    """The checkpoint's name of a model that takes nothing but its tokenizer."""
    return f"none (tokenizer of {checkpoint})"


def lender(name: str) -> str:
    """The checkpoint that lends its tokenizer, or the checkpoint itself."""
    shared = re.fullmatch(r"none \(tokenizer of (.+)\)", name, re.DOTALL)
    return shared[1] if shared else name
