"""The barest training loop of TensorFlow, one `tf.function`, on the same model, optimizer and
feed: what `fit` adds to it is `fit`'s own."""

from __future__ import annotations

import keras
import tensorflow as tf

from frameworks.contract import Watch
from frameworks.keras_rnn import data
from frameworks.keras_rnn.recording import Recording


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_function: keras.losses.Loss,
    recording: Recording,
    watch: Watch,
) -> None:
    """The feed's optimizer steps, to their end or to a stop."""
    feed, work = recording.work.feed, recording.work

    @tf.function(jit_compile=work.recipe.compile)
    def train_batch(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = optimizer.scale_loss(loss_function(labels, model(inputs, training=True)))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)

    dataset = data.training_dataset(feed, recording.batch if work.hash_batches else None)
    watch.begin()
    for batch, (inputs, labels) in enumerate(dataset.take(feed.total_batches)):
        train_batch(inputs, labels)
        if feed.ends_step(batch) and watch.step_end(feed.step_of(batch) + 1):
            return
