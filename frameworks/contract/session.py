"""The one contract that every backend fulfils. Imports no framework.

A backend is a package `frameworks/<name>/` with two public names:

* `frameworks.<name>.unsupported(recipe, start)` - which fields it cannot honour; it is asked in
  the parent process, so the package itself imports no framework;
* `frameworks.<name>.train.Session` - a `Session`: one model under training, in a worker process.

The harness owns the data, the order, the starting weights and the clock; a backend owns the
model, the optimizer, the precision and the loop, and runs its framework's usual ones.
"""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, cos, pi
from pathlib import Path
from statistics import median
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Architecture = Literal["bert", "distilbert", "gpt2"]
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
StepPhase = Literal["forward", "backward", "optimizer"]
Batch = dict[str, np.ndarray]

BUCKET = 32  # 'buckets' pads to a multiple of this many tokens
GROUP_BATCHES = 50  # ... after sorting by length inside groups of this many batches
MATMUL_SIZE = 2048  # rows and columns of the product that tells a device's matrix rate
MATMUL_REPEATS = 7

# The fields of a checkpoint's config that hold dropout rates.
DROPOUT_FIELDS: dict[Architecture, tuple[str, ...]] = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
}
# What a processor calls its arithmetic in these formats; without it they are emulated.
PROCESSOR_FLAGS: dict[str, tuple[str, ...]] = {
    "bf16": ("avx512_bf16", "amx_bf16"),
    "fp16": ("avx512_fp16", "amx_fp16"),
}
# oneDNN's limit on the instruction sets that it uses, and the limits below each of those sets, as
# oneDNN orders them.
ONEDNN_LIMIT = "ONEDNN_MAX_CPU_ISA"
_BELOW_AVX512 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")
_BELOW_BF16 = (*_BELOW_AVX512, "AVX512_CORE", "AVX512_CORE_VNNI")
_BELOW_FP16 = (*_BELOW_BF16, "AVX512_CORE_BF16")
_BELOW_AMX = (*_BELOW_FP16, "AVX512_CORE_FP16", "AVX10_1_512")
ONEDNN_FORBIDS = {
    "avx512_bf16": _BELOW_BF16,
    "avx512_fp16": _BELOW_FP16,
    "amx_bf16": _BELOW_AMX,
    "amx_fp16": (*_BELOW_AMX, "AVX512_CORE_AMX", "AVX10_1_512_AMX"),
}

Device = Literal["cpu", "gpu"]
Phase = Literal["training", "evaluation"]
Share = Annotated[float, Field(ge=0, le=1)]


class Unsupported(Exception):
    """A backend cannot honour one field of the recipe."""

    def __init__(self, backend: str, name: str, value: object, why: str) -> None:
        super().__init__(f"{backend} cannot do {name} = {value!r}: {why}")
        self.backend, self.field, self.value, self.why = backend, name, value, why


class Recipe(BaseModel):
    """Everything that decides the optimisation. Every backend honours every field."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    batch_size: Annotated[int, Field(ge=1)] = 16  # examples per forward pass
    accumulation: Annotated[int, Field(ge=1)] = 1  # forward passes per optimizer step
    learning_rate: Annotated[float, Field(gt=0)] = 3e-5
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_share: Share = 0.1  # share of all optimizer steps
    weight_decay: Annotated[float, Field(ge=0)] = 0.01  # not on biases and LayerNorm
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8  # added after the bias correction
    max_gradient_norm: Annotated[float, Field(ge=0)] = 1.0  # global; 0 does not clip
    epochs: Annotated[int, Field(ge=1)] | None = 1
    steps: Annotated[int, Field(ge=1)] | None = None  # optimizer steps; overrides epochs
    precision: Precision = "fp32"
    length: Annotated[int, Field(ge=4)] = 128  # tokens, special ones included
    padding: Literal["max", "longest", "buckets"] = "max"
    dropout: Share | None = None  # None: as the checkpoint says
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    evaluation_interval: Annotated[int, Field(ge=0)] = 0  # optimizer steps; 0: at the end only
    log_interval: Annotated[int, Field(ge=1)] = 1  # optimizer steps between curve points
    keep_best: Literal["accuracy", "macro_f1", "loss"] | None = None  # None: keep the last
    attention: Literal["eager", "sdpa"] | None = None  # None: the framework's default
    compile: bool = False
    optimizer: Literal["adamw", "adafactor", "adamw_8bit"] = "adamw"
    gradient_checkpointing: bool = False  # recomputes activations instead of keeping them

    @model_validator(mode="after")
    def _fits_its_optimizer(self) -> Recipe:
        for name in ("beta1", "beta2", "epsilon") if self.optimizer == "adafactor" else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is AdamW's: leave it out with optimizer 'adafactor'")
        return self

    @model_validator(mode="after")
    def _has_an_end(self) -> Recipe:
        if self.epochs is None and self.steps is None:
            raise ValueError("one of epochs and steps must be given")
        if self.keep_best and not self.evaluation_interval:
            raise ValueError("keep_best needs an evaluation_interval above 0")
        return self


def learning_rate(recipe: Recipe, step: int, total_steps: int) -> float:
    """Learning rate of optimizer step `step` (from 0), as transformers' schedules define it:
    warm-up starts at 0, so the first step of a warm-up leaves the weights as they are."""
    warmup = warmup_steps(recipe, total_steps)
    if step < warmup:
        return recipe.learning_rate * step / max(1, warmup)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    done = (step - warmup) / max(1, total_steps - warmup)
    factor = 1 - done if recipe.schedule == "linear" else 0.5 * (1 + cos(pi * done))
    return recipe.learning_rate * max(0.0, factor)


def warmup_steps(recipe: Recipe, total_steps: int) -> int:
    return ceil(recipe.warmup_share * total_steps)


def takes_decay(name: str) -> bool:
    """Whether weight decay acts on a parameter, by its PyTorch name: all but biases and
    LayerNorm."""
    return not re.search(r"(^|[._/])(bias|LayerNorm\.\w+|layer_norm\.\w+|ln_\w+\.\w+)$", name)


def is_embedding(name: str) -> bool:
    """Whether a parameter is a look-up table, by its PyTorch name."""
    return re.search(r"(embeddings?|wte|wpe)\.weight$", name) is not None


def lacks(precision: Precision, device: Device) -> str | None:
    """Why a device cannot train in a precision; None where it can, or only it can tell."""
    if device == "gpu" or precision == "fp32":
        return None
    if precision == "tf32":
        return "TF32 is a mode of NVIDIA GPUs and this job runs on a CPU"
    wanted = PROCESSOR_FLAGS[precision]
    if set(wanted) & processor_flags():
        return None
    limit = os.environ.get(ONEDNN_LIMIT)
    where = f" under {ONEDNN_LIMIT}={limit}" if limit else ""
    return f"this processor would emulate it: it has neither {' nor '.join(wanted)}{where}"


def processor_flags() -> frozenset[str]:
    """Instruction sets that a framework may use, as Linux names them; empty where it does not say.
    Those that oneDNN's limit forbids are left out: TensorFlow's workers abort when they need one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    limit = os.environ.get(ONEDNN_LIMIT, "").upper()
    return frozenset(flag for flag in flags if limit not in ONEDNN_FORBIDS.get(flag, ()))


def batch_digest(batch: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, shapes and values, whatever integer type a framework holds them in."""
    digest = hashlib.sha256()
    for name in sorted(batch):
        values = np.ascontiguousarray(batch[name], dtype="<i4")
        digest.update(f"{name}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Examples:
    """Tokenised examples, ragged: example i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: np.ndarray  # int32 (tokens,)
    offsets: np.ndarray  # int64 (examples + 1,)
    second_starts: np.ndarray  # int32 (examples,): first token of the second text, else the length
    labels: np.ndarray  # int32 (examples,)
    pad_id: int
    has_token_types: bool  # BERT's; DistilBERT and GPT-2 take none

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every example, int64 (examples,)."""
        return np.diff(self.offsets)

    def collate(self, indices: np.ndarray, recipe: Recipe) -> Batch:
        """Right-padded int32 arrays (batch, width): input_ids, attention_mask and, where the
        architecture has them, token_type_ids; and labels (batch,)."""
        lengths = self.lengths[indices]
        width = padded_width(int(lengths.max()), recipe)
        columns = np.arange(width)
        real = columns < lengths[:, None]
        flat = self.offsets[indices][:, None] + np.minimum(columns, lengths[:, None] - 1)
        batch = {
            "input_ids": np.where(real, self.ids[flat], self.pad_id).astype(np.int32),
            "attention_mask": real.astype(np.int32),
        }
        if self.has_token_types:
            second = columns >= self.second_starts[indices][:, None]
            batch["token_type_ids"] = (second & real).astype(np.int32)
        batch["labels"] = self.labels[indices].astype(np.int32)
        return batch


def padded_width(longest: int, recipe: Recipe) -> int:
    """Tokens that a batch is padded to when its longest example has `longest`."""
    if recipe.padding == "max":
        return recipe.length
    if recipe.padding == "longest":
        return longest
    return min(recipe.length, ceil(longest / BUCKET) * BUCKET)


@dataclass(frozen=True)
class Feed:
    """The training examples in the one order that every backend takes them in."""

    examples: Examples
    recipe: Recipe

    @property
    def batches_per_epoch(self) -> int:
        return ceil(len(self.examples) / self.recipe.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps; the last one of an epoch may hold fewer batches or examples."""
        return ceil(self.batches_per_epoch / self.recipe.accumulation)

    @property
    def total_steps(self) -> int:
        if self.recipe.steps is not None:
            return self.recipe.steps
        return (self.recipe.epochs or 1) * self.steps_per_epoch

    @property
    def total_batches(self) -> int:
        """Batches that `total_steps` optimizer steps take."""
        epochs, steps = divmod(self.total_steps, self.steps_per_epoch)
        return epochs * self.batches_per_epoch + steps * self.recipe.accumulation

    def ends_step(self, batch: int) -> bool:
        """Whether batch `batch` (from 0, over all epochs) is the last of its optimizer step."""
        place = batch % self.batches_per_epoch + 1
        return place % self.recipe.accumulation == 0 or place == self.batches_per_epoch

    def step_of(self, batch: int) -> int:
        """The optimizer step (from 0) that batch `batch` is part of."""
        epoch, place = divmod(batch, self.batches_per_epoch)
        return epoch * self.steps_per_epoch + place // self.recipe.accumulation

    def examples_in(self, batch: int) -> int:
        """Examples in batch `batch`; the last one of an epoch may hold fewer."""
        place = batch % self.batches_per_epoch
        size = self.recipe.batch_size
        return min(size, len(self.examples) - place * size)

    def order(self, epoch: int) -> np.ndarray:
        """Example indices of one epoch: a permutation fixed by seed and epoch alone."""
        generator = np.random.Generator(np.random.PCG64([self.recipe.seed, epoch]))
        order = generator.permutation(len(self.examples))
        if self.recipe.padding == "buckets":
            order = self._grouped_by_length(order, generator)
        return order

    def _grouped_by_length(self, order: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Sorts inside groups of batches, then shuffles the full batches, so that a batch holds
        similar lengths and the epoch still is in no order. A partial batch stays last."""
        size = self.recipe.batch_size
        lengths = self.examples.lengths
        groups = np.array_split(
            order, np.arange(1, ceil(len(order) / (size * GROUP_BATCHES))) * size * GROUP_BATCHES
        )
        order = np.concatenate([g[np.argsort(lengths[g], kind="stable")] for g in groups])
        full = len(order) // size
        batches = order[: full * size].reshape(full, size)
        return np.concatenate([generator.permutation(batches).reshape(-1), order[full * size :]])

    def batch_indices(self, epoch: int) -> list[np.ndarray]:
        size = self.recipe.batch_size
        order = self.order(epoch)
        return [order[i : i + size] for i in range(0, len(order), size)]

    def epoch(self, epoch: int) -> Iterator[Batch]:
        for indices in self.batch_indices(epoch):
            yield self.examples.collate(indices, self.recipe)

    def endless(self) -> Iterator[Batch]:
        """Epoch after epoch; the consumer stops after `total_steps` optimizer steps."""
        epoch = 0
        while True:
            yield from self.epoch(epoch)
            epoch += 1


@dataclass(frozen=True)
class Start:
    """The starting point of all backends: a folder with config.json and a complete
    model.safetensors under PyTorch's parameter names, the classification head included."""

    folder: Path
    architecture: Architecture
    label_count: int
    vocabulary_size: int
    max_length: int  # the longest sequence that the model has positions for


@dataclass(frozen=True)
class Work:
    """What a backend is asked to do."""

    recipe: Recipe
    start: Start
    train: Examples
    record: bool = False  # keep loss, gradient norm and learning rate of every step
    hash_batches: bool = False  # keep the digest of every batch as it reached the model
    memory_limit_bytes: int | None = None  # of a GPU: the framework may give out no more

    @property
    def feed(self) -> Feed:
        return Feed(self.train, self.recipe)


class Watch(Protocol):
    """The harness's eyes: called from the framework's own callbacks."""

    def begin(self) -> None:
        """Training is about to take its first step."""

    def step_end(self, step: int) -> bool:
        """`step` optimizer steps are done (from 1); True asks the framework to stop."""


@dataclass(frozen=True)
class Curve:
    """One entry per optimizer step."""

    loss: list[float] = field(default_factory=list)  # mean over the examples of the step
    gradient_norm: list[float] = field(default_factory=list)  # global, before clipping
    learning_rate: list[float] = field(default_factory=list)
    batch_digests: list[str] = field(default_factory=list)  # one per batch, not per step


@dataclass(frozen=True)
class Allocator:
    """What the framework's device allocator says; None where it keeps no such counter."""

    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    retries: int | None = None
    out_of_memory_events: int | None = None


# What a buffer of a training step is for.
Part = Literal[
    "weights", "gradients", "optimizer", "activations", "attention", "workspace", "inputs"
]


@dataclass(frozen=True)
class StepTrace:
    """The buffers of a few training steps (from the second on the optimizer has its state from
    the start; what malloc leaves in pieces still grows after it), as the framework would take them
    and give them back, told without computing anything. Time is counted in events: one for every
    buffer taken or given back."""

    bytes: np.ndarray  # int64 (buffers,): asked for, before any rounding of an allocator's
    taken: np.ndarray  # int64 (buffers,): the event at which each is taken, rising
    given_back: np.ndarray  # int64 (buffers,): the event; `events` where it outlives the trace
    parts: tuple[Part, ...]  # one per buffer
    events: int


@dataclass(frozen=True)
class Effective:
    """Settings read back from the framework after the first step, not copied from the recipe."""

    precision: Precision
    attention: str
    optimizer: str
    compiled: bool
    parameters: int
    embedding_parameters: int
    device: str  # "cpu" or "gpu", and the framework's name for it
    gradient_checkpointing: bool = False
    details: Mapping[str, str | float | bool | None] = field(default_factory=dict)


class Session(ABC):
    """One model under training in one framework; built once, in a worker process."""

    def __init__(self, work: Work) -> None:
        self.work = work

    @abstractmethod
    def train(self, watch: Watch) -> None:
        """Runs the framework's own training loop over the feed, to its end or to a stop."""

    @abstractmethod
    def train_bare(self, watch: Watch) -> None:
        """The same training in the barest loop that the framework allows: the control that shows
        what the framework's own loop costs. A session does either, once."""

    @abstractmethod
    def predict(self, examples: Examples, *, batch_size: int) -> np.ndarray:
        """Logits, float32 (examples, labels), in the examples' order; dropout off. May be called
        between the steps of `train`, from a watch."""

    @abstractmethod
    def synchronize(self) -> None:
        """Waits until the device has done all that it was given."""

    @abstractmethod
    def curve(self) -> Curve:
        """What `work.record` and `work.hash_batches` asked to keep."""

    @abstractmethod
    def precision_in_force(self) -> Precision:
        """What the framework computes in now, asked of it and not of the recipe; cheap."""

    @abstractmethod
    def effective(self) -> Effective:
        """Settings in force; call after the first step."""

    @abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """A copy of all trainable weights by PyTorch's names and layout where the architecture
        has them (so that backends compare), by the framework's own otherwise."""

    @abstractmethod
    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Puts back what `weights` gave."""

    @abstractmethod
    def matmul_flops_per_second(self) -> float:
        """The device's matrix rate in the recipe's precision under the switches in force."""

    @abstractmethod
    def tell_phases(self, begins: Callable[[StepPhase | None], None]) -> bool:
        """Calls `begins` whenever a phase of a step begins in the `train` to come (None: the
        optimizer is done), so also between the batches of an accumulated step. False where the
        framework runs a step as one, so that it has no such moments."""

    @abstractmethod
    def reset_peak(self) -> None:
        """Starts the allocator's peaks anew."""

    @abstractmethod
    def allocator(self) -> Allocator:
        """The allocator's peaks since the last reset."""


def matmul_rate(product: Callable[[], float]) -> float:
    """FLOP/s of a square product of MATMUL_SIZE; `product` does it once and gives its seconds.
    The median of several after a first one that warms up."""
    product()
    seconds = median(product() for _ in range(MATMUL_REPEATS))
    return 2 * MATMUL_SIZE**3 / seconds


@dataclass(frozen=True)
class BackendInfo:
    title: str
    loop: str  # what a user of this backend calls to train
    requirements: tuple[str, ...]  # what must be installed
    extra: str  # the optional dependency that installs it
    pretrained: bool = True  # False: starts from no checkpoint, takes only its tokenizer
    certified_with: str | None = None  # backends of one family train the same architecture


# The registry: a backend is one folder and one line here.
BACKENDS: dict[str, BackendInfo] = {
    "hf_torch": BackendInfo(
        "PyTorch",
        "Trainer.train()",
        ("torch", "transformers>=4.53,<6", "accelerate"),
        "torch",
        certified_with="transformers",
    ),
    "hf_tf": BackendInfo(
        "TensorFlow",
        "Model.fit()",
        ("tensorflow", "tf-keras", "transformers>=4.53,<4.55"),
        "tf",
        certified_with="transformers",
    ),
    "keras_rnn": BackendInfo(
        "Keras LSTM", "Model.fit()", ("tensorflow", "keras>=3"), "tf", pretrained=False
    ),
}
