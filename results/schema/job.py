"""A job, its device, data and checkpoint."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)


Question = Literal["equivalence", "throughput", "memory", "batch_limit", "accuracy"]


# A job's part in a race: the framework's own loop, the control (its shortest possible loop), or
# the framework's own loop a second time (any difference between the two is noise).
Role = Literal["framework", "control", "repeat"]
OLD_ROLES: dict[str, Role] = {"framework": "framework", "bare": "control", "again": "repeat"}


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


Gap = Literal["no_gpu", "unsupported", "failed", "not_run", "implausible"]


class Record(BaseModel):
    # A diverged loss is written as "NaN": JSON has no such number, and null would not be read.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Versioned(Record):
    """A record that is a file of its own. Files of earlier schema versions are converted when they
    are read; files are written in today's version only."""

    schema_version: Literal[2] = 2

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or raw.get("schema_version") != 1:
            return raw
        return {**cls.from_version_1(raw), "schema_version": SCHEMA_VERSION}

    @classmethod
    def from_version_1(cls, raw: dict[str, Any]) -> dict[str, Any]:
        return raw


PLAIN = "plain"  # the change that changes nothing: every study of changes has it


class JobKey(Record):
    """Names a job inside a run; `id` is also the measurement's file name."""

    id: str
    backend: str
    task: str
    question: Question
    role: Role = "framework"
    change: str | None = None  # a profile's name for a change to the recipe

    @model_validator(mode="before")
    @classmethod
    def _from_old_names(cls, raw: Any) -> Any:
        """Schema version 1 calls the role 'variant' and the change 'shape'."""
        if not isinstance(raw, dict) or not {"variant", "shape"} & raw.keys():
            return raw
        fields = dict(raw)
        if "variant" in fields:
            old = fields.pop("variant")
            fields["role"] = OLD_ROLES.get(old, old) if isinstance(old, str) else old
        if "shape" in fields:
            fields["change"] = fields.pop("shape")
        return fields


def participant(backend: str, role: Role) -> str:
    """'hf_torch', 'hf_torch-control', 'hf_torch-repeat': a part of the job's id."""
    return backend if role == "framework" else f"{backend}-{role}"


def comparison(key: JobKey) -> str:
    """The name that all jobs of one race share: a job's id without its backend and role, or
    without its role and change."""
    if key.change:
        return f"{key.question}-{key.task}-{key.backend}"
    old = next(name for name, role in OLD_ROLES.items() if role == key.role)
    for name in (participant(key.backend, key.role), f"{key.backend}-{old}"):
        if f"-{name}" in key.id:
            return key.id.replace(f"-{name}", "", 1)
    return key.id


class Device(Record):
    kind: Literal["cpu", "gpu"]
    name: str
    memory_bytes: int
    cores: int  # processor cores that the worker may use
    driver: str | None = None
    compute_capability: str | None = None
    gpu_type: str | None = None  # the row of gpus.toml that it is
    uuid: str | None = (
        None  # of the GPU or the part of one (MIG); CUDA_VISIBLE_DEVICES selects by it
    )
    one_process: bool = False  # the GPU is in a mode that admits a single process
    # What holds the clocks down for good, such as clocks set by an application.
    clock_limits: list[str] = Field(default_factory=list)


class SetSummary(Record):
    """The examples of one set, as a training at one length sees them."""

    name: str  # train, or the evaluation set
    rows: int
    label_counts: list[int]  # in the order of the label names
    characters_median: float  # of all texts of an example
    characters_max: int
    tokens_median: float  # after truncation
    tokens_max: int
    truncated: int  # examples cut to the recipe's length
    duplicates: int  # rows that repeat the texts of an earlier row of the set
    in_training: int  # rows whose texts are in the training set too; 0 for that set itself
    fingerprint: str = ""  # of its first texts and labels; empty in earlier files


class Data(Record):
    source: str  # hub, dir or embedded, as the user named it, without its path
    description: str  # 'IMDb, 10,000 of 25,000 training reviews, seed 42'
    generated: bool
    fingerprint: str  # of the texts and labels that were used, hex
    train_examples: int
    evaluation_examples: dict[str, int]  # by evaluation set
    label_names: list[str]
    notes: list[str] = Field(default_factory=list)  # '3 empty texts kept'
    sets: list[SetSummary] = Field(default_factory=list)  # empty in earlier files


class Checkpoint(Record):
    name: str
    architecture: str
    sha256: str  # of the weights file; empty where only the tokenizer is used
    random: bool  # random weights: accuracy is meaningless
    tokenizer_only: bool = False  # the model uses the checkpoint's tokenizer and no weights of it

    @model_validator(mode="before")
    @classmethod
    def _from_old_name(cls, raw: Any) -> Any:
        return split_old_checkpoint(raw, "name") if isinstance(raw, dict) else raw


_OLD_START, _OLD_END = "none (tokenizer of ", ")"


def split_old_checkpoint(raw: dict[str, Any], field: str) -> dict[str, Any]:
    """Sets `tokenizer_only` in a record of schema version 1, which keeps that fact in the
    checkpoint's name: 'none (tokenizer of minilm)'."""
    name = raw.get(field)
    if not isinstance(name, str) or "tokenizer_only" in raw:
        return raw
    if not (name.startswith(_OLD_START) and name.endswith(_OLD_END)):
        return raw
    checkpoint = name.removeprefix(_OLD_START).removesuffix(_OLD_END)
    return {**raw, field: checkpoint, "tokenizer_only": True}
