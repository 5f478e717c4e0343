"""The state of a training: every variable that decides its next step, and what was recorded."""

from __future__ import annotations

from pathlib import Path

import keras
from keras.src.random.seed_generator import global_seed_generator

from frameworks._tensorflow import state
from frameworks.keras_rnn.recording import Recording


def save(
    folder: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recording: Recording,
) -> None:
    """Errors: OSError, and NotImplementedError for a user's model with a state that cannot be saved."""
    found = variables(model, optimizer)
    if recording.spec.own_model:
        known = [variable.value for variable in [*found, *model.metrics_variables]]
        state.check_graph(recording.graph, known, recording)
    state.save(folder, found, recording)


def load(
    folder: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recording: Recording,
) -> None:
    """Sets what `save` wrote."""
    state.load(folder, variables(model, optimizer), recording)


def variables(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Weights, dropout's generators and Keras's own, the optimizer's variables and the loss scale, each
    made if it was not there."""
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    return [*model.variables, *optimizer.variables, global_seed_generator().state]
