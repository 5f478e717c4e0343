"""Tokenized examples and the one order in which every backend takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from frameworks.contract.recipe import Recipe

Batch = dict[str, np.ndarray]


BUCKET = 32  # 'buckets' pads to a multiple of this many tokens


GROUP_BATCHES = 50  # ... after sorting by length inside groups of this many batches


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
    """Tokenized examples, ragged: example i is `ids[offsets[i]:offsets[i + 1]]`."""

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
    """The training examples in the one order that every backend takes them in. Its many methods are a
    line or two each, on the two fields."""

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
        return self.batches_of(self.total_steps)

    def batches_of(self, steps: int) -> int:
        """Batches that the first `steps` optimizer steps take."""
        epochs, rest = divmod(steps, self.steps_per_epoch)
        return epochs * self.batches_per_epoch + rest * self.recipe.accumulation

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
            lengths, size = self.examples.lengths, self.recipe.batch_size
            order = grouped_by_length(order, lengths, size, generator)
        return order

    def batch_indices(self, epoch: int) -> list[np.ndarray]:
        size = self.recipe.batch_size
        order = self.order(epoch)
        return [order[i : i + size] for i in range(0, len(order), size)]

    def epoch(self, epoch: int) -> Iterator[Batch]:
        for indices in self.batch_indices(epoch):
            yield self.examples.collate(indices, self.recipe)

    def endless(self, done: int = 0) -> Iterator[Batch]:
        """Epoch after epoch from batch `done` on; the consumer stops after `total_steps` optimizer
        steps."""
        epoch, place = divmod(done, self.batches_per_epoch)
        while True:
            for indices in self.batch_indices(epoch)[place:]:
                yield self.examples.collate(indices, self.recipe)
            epoch, place = epoch + 1, 0


def grouped_by_length(
    order: np.ndarray, lengths: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    """Sorts inside groups of batches, then shuffles the full batches, so that a batch holds
    similar lengths and the epoch still is in no order. A partial batch stays last."""
    groups = np.array_split(
        order, np.arange(1, ceil(len(order) / (size * GROUP_BATCHES))) * size * GROUP_BATCHES
    )
    order = np.concatenate([g[np.argsort(lengths[g], kind="stable")] for g in groups])
    full = len(order) // size
    batches = order[: full * size].reshape(full, size)
    return np.concatenate([generator.permutation(batches).reshape(-1), order[full * size :]])


def few_examples(recipe: Recipe, examples: int) -> str | None:
    """Why no optimizer step can have as many examples as the recipe says; None if it can."""
    if recipe.batch_size > examples:
        return (
            f"recipe asks for batch_size = {recipe.batch_size}, but there are {examples} training "
            f"examples, so that no batch has so many rows; set batch_size = {examples} or less, or "
            "train on more examples"
        )
    most = -(-examples // recipe.batch_size)
    if recipe.accumulation > most:
        return (
            f"recipe asks for accumulation = {recipe.accumulation}, but an epoch of {examples} "
            f"training examples has {most} batches of {recipe.batch_size}; set accumulation = "
            f"{most} or less, or train on more examples"
        )
    return None
