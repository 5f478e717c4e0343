"""The barest training loop of TensorFlow, one `tf.function`, on the same model, optimizer and
feed: the control that shows the cost of `fit`."""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks._tensorflow import bare
from frameworks.contract import Recipe


def prepared(
    model: TFPreTrainedModel,
    optimizer: tf_keras.optimizers.Optimizer,
    loss_function: tf_keras.losses.Loss,
    recipe: Recipe,
) -> tf.types.experimental.PolymorphicFunction:
    """The function that the loop calls for a batch, compiled if the recipe says so."""

    @tf.function(jit_compile=recipe.compile)
    def train_batch(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = loss_function(labels, model(inputs, training=True).logits)
        optimizer.minimize(loss, model.trainable_variables, tape=tape)

    return train_batch


train = bare.train
