"""One measurement: one job's outcome, its figures or why there are none.

Units stand in the field names. A figure that could not be taken is None, and `gaps` says why
under the figure's name; it is never 0.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class Load(Record):
    """The machine around a window: what other work took, and what held the GPU back."""

    one_minute_load: float | None = None
    stolen_share: float | None = None  # of all CPU time in the window, taken by the hypervisor
    other_busy_share: float | None = None  # CPU time used outside the worker and the harness
    throttle_reasons: list[str] | None = None  # seen at either end; None: no GPU, or not told
    sm_clock_mhz: int | None = None  # at the window's end
    gpu_processes: int | None = None  # compute processes besides the run's own workers


class Window(Record):
    """k optimizer steps (or evaluation batches), timed as one."""

    seconds: float  # the parent's clock, from 'go' to the synchronised end
    worker_seconds: float  # the worker's clock for the same
    steps: int
    examples: int
    tokens: int  # non-padding
    padded_tokens: int  # padding included
    round: int = 0
    load: Load = Field(default_factory=Load)


class Throughput(Record):
    build_seconds: float  # model, optimizer and data built
    first_step_seconds: float  # from train()'s call to the end of step 1, compilation included
    warmup: list[Window]
    windows: list[Window]
    evaluation_warmup: list[Window] = Field(default_factory=list)
    evaluation_windows: list[Window] = Field(default_factory=list)
    # One name for all that took turns with one another; None in files from before there was one,
    # where all of a comparison did.
    race: str | None = None
    model_flops_per_token: float | None = None  # 6 x non-embedding parameters + attention
    matmul_flops_per_second: float | None = None  # measured in the same run and precision


class Memory(Record):
    """A pass of its own, never timed."""

    steps: int
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    allocator_retries: int | None = None
    allocator_out_of_memory_events: int | None = None
    peak_device_bytes: int | None = None  # NVML, minus use before the worker started
    peak_process_bytes: int | None = None  # VmHWM minus its value before the model was built
    before_model_bytes: int | None = None  # VmHWM then: interpreter and framework
    # Of one further step, by 'forward', 'backward' (with clipping) and 'optimizer': the allocator's
    # peak on a GPU, else the process's minus its value before the model was built.
    phase_peaks: dict[str, int] | None = None


Phase = Literal["training", "evaluation"]
Outcome = Literal[
    "ok",  # it took its steps
    "oom",  # the framework said that memory ran out
    "host_oom",  # the kernel ended the process
    "disguised_oom",  # memory ran out under another name, or the process ended without a word
    "timeout",
    "error",  # anything else: it says nothing of memory, and ends the search
]
MEMORY_OUTCOMES: frozenset[Outcome] = frozenset({"oom", "host_oom", "disguised_oom"})


class Probe(Record):
    """One worker that built everything and took a few steps at one batch size."""

    batch_size: int
    outcome: Outcome
    peak_bytes: int | None  # of what the budget bounds; None where it did not end well
    steps: int  # optimizer steps (or evaluation batches) that it took
    seconds: float  # the whole process
    reason: str | None = None  # one line, whenever the outcome is not 'ok'


class Finder(Record):
    """Another way to the same limit, on the same work and budget, in one process."""

    name: str
    answer: int | None  # the largest batch that it says fits; None: it gave none
    probes: int
    seconds: float
    reason: str | None = None  # why there is no answer


class Expected(Record):
    """Where a search was told to look first."""

    limit: int
    source: str  # 'predicted', 'the limit on imdb'
    seconds: float  # that it took to tell


class BatchLimit(Record):
    """The largest batch that trains (or predicts) within a budget, proven from both sides."""

    phase: Phase
    budget: str  # as it was asked for: '6GiB', 'T4', 'device'
    budget_bytes: int
    emulated: bool  # less than the GPU has: a smaller one's budget, or a size
    enforced_by: str  # 'RLIMIT_DATA', the framework's own limit, ...
    notes: list[str] = Field(default_factory=list)  # what could not be made sure of
    limit: int | None  # 0: not even one example; None: not found, the measurement says why
    fails_at: int | None  # the smallest that failed; None: none did up to `highest`
    highest: int  # no batch above it was asked for
    expected: Expected | None = None
    probes: list[Probe]
    fixed_bytes: float | None = None  # the fit: peak = fixed_bytes + bytes_per_example x batch
    bytes_per_example: float | None = None
    needed_bytes: int | None = None  # at batch 1, where not even that fits
    peaks_are_counts: bool = False  # the framework's allocator counted them
    finders: list[Finder] = Field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of its probes, each a whole process, and of what told where to look first."""
        told = self.expected.seconds if self.expected else 0.0
        return told + sum(probe.seconds for probe in self.probes)


class Score(Record):
    """One evaluation set under one set of weights."""

    examples: int
    accuracy: float
    macro_f1: float
    loss: float


class CurvePoint(Record):
    step: int
    loss: float
    gradient_norm: float | None
    learning_rate: float


class EvaluationPoint(Record):
    step: int
    training_seconds: float  # evaluation time left out; first step included
    scores: dict[str, Score]


class Accuracy(Record):
    seed: int
    steps: int
    examples: int  # taken part in training
    training_seconds: float  # evaluation left out
    first_step_seconds: float
    evaluation_seconds: float
    scores: dict[str, Score]  # by evaluation set, of the weights that were kept
    kept_step: int  # the step whose weights those are
    curve: list[CurvePoint]
    evaluations: list[EvaluationPoint]
    predictions_file: str | None = None  # beside the measurement: logits and labels, .npz


class Trace(Record):
    """One training, step by step, for another backend's to be laid beside: lists hold one entry
    per optimizer step, in order."""

    steps: int
    steps_per_epoch: int
    update_step: int  # the first, from 1, whose learning rate is above 0
    examples: list[int]  # taken part in each step
    batches: list[str]  # one digest per batch, of token ids, masks, token types and labels
    batch_steps: list[int]  # the step, from 1, that each of them is part of
    loss: list[float]  # mean over the examples of the step
    gradient_norm: list[float]  # global, before clipping
    learning_rate: list[float]
    evaluation_examples: int
    arrays_file: str = ""  # beside the measurement: logits and sketches of the weights, .npz
    weights_file: str | None = None  # the weights after training, where the job kept them


class Measurement(Record):
    schema_version: Literal[1] = 1
    job: JobKey
    status: Status
    reason: str | None = None  # one line, whenever status is not 'ok'
    stderr_tail: list[str] = Field(default_factory=list)
    started_at: str  # ISO 8601, UTC
    seconds: float  # the whole job, worker start to end
    recipe: dict[str, Any]
    data: Data | None = None
    checkpoint: Checkpoint | None = None
    device: Device
    versions: dict[str, str] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)  # variables set for the worker
    effective: dict[str, Any] | None = None  # settings read back from the framework
    gaps: dict[str, Gap] = Field(default_factory=dict)  # why a figure is None
    throughput: Throughput | None = None
    memory: Memory | None = None
    batch_limit: BatchLimit | None = None
    accuracy: Accuracy | None = None
    trace: Trace | None = None


class Side(Record):
    """Whose trace it was."""

    backend: str
    device: str
    versions: dict[str, str]
    started_at: str


class Check(Record):
    """One quantity of two traces, held against its bound."""

    name: str
    bound: float
    # How the difference is taken; 'some': it is none, but how much of the steps was at work.
    kind: Literal["same", "absolute", "relative", "share", "some"]
    worst: float | None  # the largest difference (of a share: the share); None: not a number
    passed: bool
    step: int | None = None  # the first optimizer step, from 1, beyond the bound
    value: float | None = None  # the difference there
    where: str | None = None  # what differs: 'batch 7', a tensor, a field of the recipe
    derived: bool = False  # the bound comes from a repeated run, it is not a fixed one


class Repeat(Record):
    """Where the derived bounds of a certificate in reduced precision come from."""

    backends: list[str]  # trained once more in fp32; of two, the one that differs less counts
    times: float  # a bound over the largest difference between a backend's own two runs


class Certificate(Record):
    """Two traces laid beside each other: `certificates/*.json` of a run's folder."""

    schema_version: Literal[1] = 1
    task: str
    first: Side
    second: Side
    recipe: dict[str, Any]  # the first side's; the check 'recipe' says where the other differs
    steps: int
    epochs: int  # begun
    clipped_steps: int
    weights_compared: Literal["sketch", "exact"]
    checks: list[Check]  # in the order in which they are made
    holds: bool
    failed_first: str | None  # the name of the check that fails at the earliest step
    points_to: str | None  # where such a failure comes from
    verdict: str  # one line
    notes: list[str]
    loss_differences: list[float]  # absolute, one per step
    repeat: Repeat | None = None  # None: all bounds are fixed ones


class TuningStep(Record):
    """One lever raced against a recipe."""

    lever: str
    against: str  # 'plain', or the levers together that it was added to
    gain: float | None  # examples per second over the other's, paired windows
    gain_low: float | None  # 95 % interval
    gain_high: float | None
    kept: bool
    reason: str | None  # why there is no gain or no interval: it cannot run, or it lost early


class TuningDropped(Record):
    """Levers that gained and do not stay all the same."""

    levers: str
    reason: str


Verdict = Literal[
    "holds",  # the interval ends no lower than the margin below 0
    "cannot_tell",  # it ends lower, and reaches 0 or more: too few examples for this margin
    "does_not_hold",  # it lies below 0
]


class TuningAccuracy(Record):
    """The tuned recipe against the plain one on the same examples, means over the seeds."""

    evaluation_set: str
    examples: int
    seeds: list[int]
    plain: float
    tuned: float
    difference: float
    difference_low: float  # 95 % interval
    difference_high: float
    margin: float
    verdict: Verdict


class Tuning(Record):
    """The fastest recipe found for one backend on one task: `tuning.json` of a run's folder."""

    schema_version: Literal[1] = 1
    backend: str
    task: str
    plain_recipe: dict[str, Any]
    levers: list[str]  # of the winner; empty: the plain recipe stays
    tuned_fields: dict[str, Any]  # where the winner differs
    tuned_environment: dict[str, str]  # variables of its worker
    steps: list[TuningStep]
    dropped: list[TuningDropped]
    gain: float | None  # the winner over the plain recipe, in a race of its own; None: plain stays
    gain_low: float | None
    gain_high: float | None
    accuracy: TuningAccuracy | None  # of the winner; None: plain stays, or it was not taken
    no_accuracy: str | None  # why it was not taken, such as random weights
    plain_matmul_share: float | None  # model FLOP/s over the matmul rate in its precision
    tuned_matmul_share: float | None


class PredictedLimit(Record):
    target: str  # a GPU type of gpus.toml, or a budget such as '6GiB'
    budget_bytes: int
    limit: int  # 0: not even one example
    low: int  # the prediction's range: this is what is promised
    high: int
    note: str | None = None  # what the budget rests on, where no reading of it is at hand


class Prediction(Record):
    """The memory that training is expected to take, told without training."""

    schema_version: Literal[1] = 1
    backend: str
    phase: Phase
    device: Literal["cpu", "gpu"]  # whose allocator was followed
    checkpoint: str
    architecture: str
    recipe: dict[str, Any]  # batch size, length, precision ... all that counts
    parts: dict[str, int]  # bytes at the peak: weights, gradients, optimizer, activations ...
    peak_bytes: int
    peak_low_bytes: int
    peak_high_bytes: int
    assumed: bool = False  # no measured case stands behind the ranges; else 95 % intervals
    limits: list[PredictedLimit]
    # GPU types that were asked for and cannot compute in the precision: why.
    left_out: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]


class PredictionCase(Record):
    """A prediction held against what was measured or published."""

    backend: str
    device: Literal["cpu", "gpu"]
    architecture: str
    checkpoint: str
    length: int
    precision: str
    phase: Phase = "training"
    setting: str = ""  # what else of the recipe counts for memory: 'accumulation 4'
    batch_size: int | None  # of a peak; None for a limit
    over_batch_size: int | None = None  # of a peak that is told over that of this batch
    budget: str | None  # of a limit; None for a peak
    unit: Literal["bytes", "examples"]
    predicted: float  # a limit and its ends are rounded down to sizes that a search tries
    low: float  # the range of what is predicted; of a limit, this is what is promised
    high: float
    measured: float  # of a limit: the largest batch that fitted
    fails_at: int | None = None  # of a limit: the smallest that failed; None: none did
    steps: int | None = None  # of a limit: sizes of the search from measured to predicted
    source: str  # 'measured', or where it was published
    conditions: str | None = None  # how what was published differs from what is predicted
    fitted: bool = False  # the calibration has seen it
    versions: dict[str, str] = Field(default_factory=dict)  # of what the step was traced with


class RunInfo(Record):
    """One call on one machine: `run.json` of a run's folder."""

    schema_version: Literal[1] = 1
    run: str
    profile: str
    command: str  # takes the same figures again
    started_at: str
    ftbench_version: str  # '0.1.0 at COMMIT', '+changes' after it where files differed
    device: Device

    @property
    def commit(self) -> str | None:
        """The code that took the figures; None where that is not known."""
        _, _, commit = self.ftbench_version.partition(" at ")
        return commit if commit and not commit.endswith("+changes") else None
