"""The barest training loop of TensorFlow, one `tf.function`, on the same model, optimizer and
feed: what `fit` adds to it is `fit`'s own."""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks.contract import Recipe, Watch
from frameworks.hf_tf import data
from frameworks.hf_tf.recording import Recording


def prepared(
    model: TFPreTrainedModel,
    optimizer: tf_keras.optimizers.Optimizer,
    loss_function: tf_keras.losses.Loss,
    recipe: Recipe,
) -> tf.types.experimental.PolymorphicFunction:
    """What the loop calls for a batch: one function, compiled where the recipe says so."""

    @tf.function(jit_compile=recipe.compile)
    def train_batch(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = loss_function(labels, model(inputs, training=True).logits)
        optimizer.minimize(loss, model.trainable_variables, tape=tape)

    return train_batch


def train(
    train_batch: tf.types.experimental.PolymorphicFunction, recording: Recording, watch: Watch
) -> None:
    """The feed's optimizer steps, to their end or to a stop."""
    feed, spec = recording.spec.feed, recording.spec
    dataset = data.training_dataset(feed, recording.batch if spec.hash_batches else None)
    watch.begin()
    # Traced once for all widths, as `fit` does it: by the batches' own shapes it would be traced
    # anew for every width that comes along.
    step = train_batch.get_concrete_function(*dataset.element_spec)
    for batch, (inputs, labels) in enumerate(dataset.take(feed.total_batches)):
        step(inputs, labels)
        if feed.ends_step(batch) and watch.step_end(feed.step_of(batch) + 1):
            return
