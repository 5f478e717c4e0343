"""The barest training loop of TensorFlow: one `tf.function` for every batch of the feed."""

from __future__ import annotations

import tensorflow as tf

from frameworks._tensorflow import data
from frameworks._tensorflow.recording import Recording
from frameworks.contract import Watch


def train(
    train_batch: tf.types.experimental.PolymorphicFunction, recording: Recording, watch: Watch
) -> None:
    """Trains for the feed's optimizer steps, or until the watch stops it."""
    feed, dataset = recording.feed, data.training_batches(recording)
    watch.begin()
    # Traced once for all widths, as `fit` does it: by the batches' own shapes it would be traced
    # again for every new width.
    step = train_batch.get_concrete_function(*dataset.element_spec)
    for batch, (inputs, labels) in enumerate(dataset.take(feed.total_batches)):
        step(inputs, labels)
        if feed.ends_step(batch) and watch.step_end(feed.step_of(batch) + 1):
            return
