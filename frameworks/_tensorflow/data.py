"""tf.data over the feed: its order, its batches, shuffling off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

import numpy as np
import tensorflow as tf

from frameworks._tensorflow.recording import Recording
from frameworks.contract import Batch, Examples, Recipe


def training_batches(recording: Recording) -> tf.data.Dataset:
    """int32 tensors `input_ids`, `attention_mask`, `token_type_ids` (batch, width), and labels
    (batch,), epoch after epoch in the feed's order, after those that were recorded. The recording is
    given the shape of every batch at the pipeline's start and, where it hashes batches, the batch
    itself at the end."""
    # Read now: the graph counts a step's batch before it has waited for it.
    feed, done = recording.feed, recording.done()

    def batches() -> Iterator[Batch]:
        for batch in feed.endless(done):
            recording.shape(batch["input_ids"].shape)
            yield batch

    dataset = _dataset(feed.examples, feed.recipe, batches)
    if recording.spec.hash_batches:
        seen = recording.batch
        dataset = dataset.map(lambda batch: _show(batch, seen))
    # One batch ahead, as Trainer's loader is: with AUTOTUNE the buffer would fill between two
    # windows of a race, and a window would not contain the cost of its batches.
    return dataset.map(_split).prefetch(1)


def evaluation_batches(examples: Examples, recipe: Recipe, *, batch_size: int) -> tf.data.Dataset:
    """The same without labels, in the examples' order, the partial batch included."""

    def batches() -> Iterator[Batch]:
        for start in range(0, len(examples), batch_size):
            stop = min(start + batch_size, len(examples))
            yield examples.collate(np.arange(start, stop), recipe)

    dataset = _dataset(examples, recipe, batches)
    count = ceil(len(examples) / batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    return dataset.map(lambda batch: _split(batch)[0]).prefetch(tf.data.AUTOTUNE)


def _dataset(
    examples: Examples, recipe: Recipe, batches: Callable[[], Iterator[Batch]]
) -> tf.data.Dataset:
    width = recipe.length if recipe.padding == "max" else None
    names = ["input_ids", "attention_mask"]
    names += ["token_type_ids"] if examples.has_token_types else []
    signature = {name: tf.TensorSpec((None, width), tf.int32, name) for name in names}
    signature["labels"] = tf.TensorSpec((None,), tf.int32, "labels")
    return tf.data.Dataset.from_generator(batches, output_signature=signature)


def _split(batch: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    return {k: v for k, v in batch.items() if k != "labels"}, batch["labels"]


def _show(batch: dict[str, tf.Tensor], seen: Callable[[Batch], None]) -> dict[str, tf.Tensor]:
    """Shows `seen` the values while the pipeline runs, and passes them on."""
    names = list(batch)

    def show(*values: np.ndarray) -> np.ndarray:
        seen(dict(zip(names, values, strict=True)))
        return np.int32(0)

    done = tf.numpy_function(show, list(batch.values()), tf.int32)
    with tf.control_dependencies([done]):
        return {name: tf.identity(value) for name, value in batch.items()}
