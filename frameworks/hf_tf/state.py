"""The state of a training: every variable that decides its next step, and what was recorded."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks._tensorflow import state
from frameworks.hf_tf.recording import Recording


def save(
    folder: Path,
    model: TFPreTrainedModel,
    optimizer: tf_keras.optimizers.Optimizer,
    recording: Recording,
) -> None:
    """Errors: OSError."""
    state.save(folder, variables(model, optimizer), recording)


def load(
    folder: Path,
    model: TFPreTrainedModel,
    optimizer: tf_keras.optimizers.Optimizer,
    recording: Recording,
) -> None:
    """Sets what `save` wrote."""
    state.load(folder, variables(model, optimizer), recording)


def variables(
    model: TFPreTrainedModel, optimizer: tf_keras.optimizers.Optimizer
) -> list[tf.Variable]:
    """Weights, dropout's generators, the optimizer's variables and the loss scale, each made if it
    was not there. The model must be built to be resumable: Keras's usual random operations keep
    their state where nobody can read it."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner.build(model.trainable_variables)
    found = [*model.variables, *inner.variables]
    if inner is not optimizer:
        found += [optimizer._loss_scale.current_loss_scale, optimizer.dynamic_counter]
    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.Dropout):
            layer._random_generator._maybe_init()
            found.append(layer._random_generator._generator.state)
    return found
