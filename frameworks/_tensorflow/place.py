"""Where in its epoch a training is, computed in the graph: the place decides where a step ends."""

from __future__ import annotations

import tensorflow as tf

from frameworks.contract import Feed


class Place:
    """The place of the current batch, which a variable counts from 0 over all epochs."""

    def __init__(self, feed: Feed, batch: tf.Variable) -> None:
        self._feed, self._batch = feed, batch

    def batch(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Examples in the current batch (float), and whether the batch ends a step."""
        _, place = self._epoch_and_place()
        size = self._feed.recipe.batch_size
        count = tf.minimum(len(self._feed.examples) - place * size, size)
        full = (place + 1) % self._feed.recipe.accumulation == 0
        last = place + 1 == self._feed.batches_per_epoch
        return tf.cast(count, tf.float32), tf.logical_or(full, last)

    def step(self) -> tf.Tensor:
        """The step that the current batch is a part of, from 0."""
        epoch, place = self._epoch_and_place()
        return epoch * self._feed.steps_per_epoch + place // self._feed.recipe.accumulation

    def step_examples(self) -> tf.Tensor:
        """Examples in the step that the current batch ends (float)."""
        _, place = self._epoch_and_place()
        size, accumulation = self._feed.recipe.batch_size, self._feed.recipe.accumulation
        before = place // accumulation * accumulation * size
        after = tf.minimum((place + 1) * size, len(self._feed.examples))
        return tf.cast(after - before, tf.float32)

    def _epoch_and_place(self) -> tuple[tf.Tensor, tf.Tensor]:
        batches = self._feed.batches_per_epoch
        return self._batch // batches, self._batch % batches
