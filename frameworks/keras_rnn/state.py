"""The state of a training: every variable that decides its next step, and what was recorded."""

from __future__ import annotations

from pathlib import Path

import keras

from frameworks._tensorflow import state
from frameworks.keras_rnn.recording import Recording


def save(
    folder: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recording: Recording,
) -> None:
    """Errors: OSError."""
    state.save(folder, variables(model, optimizer), recording)


def load(
    folder: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recording: Recording,
) -> None:
    """Sets what `save` wrote."""
    state.load(folder, variables(model, optimizer), recording)


def variables(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Weights, dropout's generators, the optimizer's variables and the loss scale, each made if it
    was not there."""
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    return [*model.variables, *optimizer.variables]
