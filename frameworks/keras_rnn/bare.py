"""The barest training loop of TensorFlow, one `tf.function`, on the same model, optimizer and
feed: the control that shows the cost of `fit`."""

from __future__ import annotations

import keras
import tensorflow as tf

from frameworks._tensorflow import bare
from frameworks.contract import Recipe


def prepared(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_function: keras.losses.Loss,
    recipe: Recipe,
) -> tf.types.experimental.PolymorphicFunction:
    """The function that the loop calls for a batch, compiled if the recipe says so."""

    @tf.function(jit_compile=recipe.compile)
    def train_batch(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = optimizer.scale_loss(loss_function(labels, model(inputs, training=True)))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)

    return train_batch


train = bare.train
