"""The session: one transformers model under `Model.fit()`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from frameworks import contract
from frameworks._tensorflow.epochs import StepHooks, fit_length
from frameworks._tensorflow.threads import compute_threads
from frameworks.contract import (
    Curve,
    Effective,
    Examples,
    SessionSpec,
    StepPhase,
    Watch,
)
from frameworks.hf_tf import (
    bare,
    data,
    device,
    model,
    optimizer,
    precision,
    readings,
    state,
    unsupported,
)
from frameworks.hf_tf.recording import Recording


class Session(contract.Session):
    """Builds and compiles the model and the optimizer. Raises `Unsupported` before it loads anything."""

    device = device  # the module

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec)
        for refusal in unsupported(spec.recipe, spec.start, device.kind()):
            raise refusal
        device.limit_memory(spec.memory_limit_bytes)  # before the first variable
        self.threads = compute_threads()  # before anything is computed
        self.recording = Recording(spec)
        # What the bare loop ran, where it did.
        self.bare: tf.types.experimental.PolymorphicFunction | None = None
        with precision.applied(spec.recipe):
            self.model = model.build(spec)
            self.optimizer = optimizer.build(spec, self.model, self.recording)
            self.loss = MeanLoss(self.recording)
            self.model.compile(
                optimizer=self.optimizer, loss=self.loss, jit_compile=spec.recipe.compile
            )

    def train(self, watch: Watch) -> None:
        self.model.fit(
            data.training_batches(self.recording),
            shuffle=False,
            **fit_length(self.spec, self.recording.done()),
            callbacks=Steps(self.recording, watch, self.model, self.make_callbacks()),
            verbose=0,
        )

    def train_bare(self, watch: Watch) -> None:
        self.bare = bare.prepared(self.model, self.optimizer, self.loss, self.spec.recipe)
        bare.train(self.bare, self.recording, watch)

    def predict(self, examples: Examples, *, batch_size: int) -> np.ndarray:
        dataset = data.evaluation_batches(examples, self.spec.recipe, batch_size=batch_size)
        return self.model.predict(dataset, verbose=0)["logits"].astype(np.float32)

    def curve(self) -> Curve:
        return self.recording.curve()

    def effective(self) -> Effective:
        return readings.effective(self)

    def weights(self) -> dict[str, np.ndarray]:
        return model.weights(self.model)

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        model.load_weights(self.model, weights)

    def save(self, folder: Path) -> None:
        """Saves the format that `from_pretrained` of any transformers version loads."""
        contract.save_pretrained(folder, self.spec.start, self.weights())

    def save_state(self, folder: Path) -> None:
        state.save(folder, self.model, readings.running_optimizer(self), self.recording)

    def load_state(self, folder: Path) -> None:
        state.load(folder, self.model, readings.running_optimizer(self), self.recording)

    def tell_phases(self, begins: Callable[[StepPhase | None], None]) -> bool:
        return False  # one graph runs the whole step


class Steps(StepHooks, tf_keras.callbacks.CallbackList):
    """Reports every optimizer step to the watch, and stops the loop when it asks for that."""


class MeanLoss(tf_keras.losses.Loss):
    """Cross entropy in float32, averaged over the batch's examples."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(reduction="none")
        self.recording = recording

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        logits = model.loss_inputs(tf.cast(y_pred, tf.float32), self.recording.spec.recipe)
        labels = tf.cast(tf.reshape(y_true, [-1]), tf.int32)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        mean = tf.reduce_mean(each)
        self.recording.loss(mean, y_pred)
        return mean
