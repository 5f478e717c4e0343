"""Records what `record` and `hash_batches` ask for, on the device until it is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from frameworks._tensorflow.place import Place
from frameworks.contract import BatchShape, Curve, LossInput, SessionSpec, batch_digest


class Recording:
    """Fed once per batch and once per optimizer step, inside the graph; nothing here waits for
    the device, except the digests. It also counts the batches."""

    def __init__(self, spec: SessionSpec) -> None:
        self.spec, self.feed = spec, spec.feed
        batches, steps = (self.feed.total_batches, self.feed.total_steps) if spec.record else (0, 0)
        self.current = tf.Variable(-1, dtype=tf.int64, trainable=False)  # batch, from 0
        self.place = Place(self.feed, self.current)
        self.losses = tf.Variable(tf.zeros(batches), trainable=False)
        self.norms = tf.Variable(tf.zeros(steps), trainable=False)
        self.rates = tf.Variable(tf.zeros(steps), trainable=False)
        self.digests: list[str] = []
        self._steps: list[int] = []  # of each batch that was read so far, and its examples
        self._counts: list[int] = []
        self.shapes: list[BatchShape] = []  # of the batches that the pipeline has taken up
        self.graph: tf.Graph | None = None  # that computes a batch's loss; None: no graph does
        self.loss_input: LossInput | None = None  # what the loss takes for logits
        self.clipped_at = 0.0

    def shape(self, shape: BatchShape) -> None:
        self.shapes.append(shape)

    def batch(self, inputs: Mapping[str, np.ndarray]) -> None:
        self.digests.append(batch_digest(inputs))

    def loss(self, mean: tf.Tensor, logits: tf.Tensor) -> None:
        """The next batch's mean loss, and the model's logits."""
        self.loss_input = _loss_input(mean, logits)
        self.graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        batch = self.current.assign_add(1)
        if self.spec.record:
            _put(self.losses, batch, mean)

    def step(self, norm: tf.Tensor, rate: tf.Tensor, limit: float) -> None:
        """The norm of the step's gradient before clipping, its learning rate, and the norm that it
        is clipped at."""
        self.clipped_at = limit
        if self.spec.record:
            step = self.place.step()
            _put(self.norms, step, norm)
            _put(self.rates, step, rate)

    def done(self) -> int:
        """How many batches were trained on."""
        return int(self.current.numpy()) + 1

    def batches(self) -> tuple[BatchShape, ...]:
        """The shapes of the batches that were trained on; the pipeline runs ahead of the model."""
        return tuple(self.shapes[: self.done()])

    def curve(self) -> Curve:
        done = self.done()
        digests = self.digests[:done]  # the pipeline runs ahead of the model
        if not self.spec.record or not done:
            return Curve(batch_digests=digests)
        # Extended, not built again: progress is asked for every second, also in a long training.
        for batch in range(len(self._steps), done):
            self._steps.append(self.feed.step_of(batch))
            self._counts.append(self.feed.examples_in(batch))
        steps, of = self._steps[done - 1] + 1, self._steps[:done]
        sizes = np.array(self._counts[:done], float)
        sums = np.bincount(of, sizes * self.losses.numpy()[:done], steps)
        counts = np.bincount(of, sizes, steps)
        norms, rates = self.norms.numpy()[:steps], self.rates.numpy()[:steps]
        return Curve((sums / counts).tolist(), norms.tolist(), rates.tolist(), digests)

    def state(self) -> dict[str, np.ndarray]:
        """What was recorded so far. Called between two steps."""
        return {
            **{name: variable.numpy() for name, variable in self.variables().items()},
            "digests": np.array(self.digests[: self.done()], str),
            "shapes": np.array(self.batches(), np.int64).reshape(-1, 2),
        }

    def load_state(self, saved: Mapping[str, np.ndarray]) -> None:
        """Sets what `state` returned."""
        for name, variable in self.variables().items():
            variable.assign(saved[name])
        self.digests = saved["digests"].tolist()
        self.shapes = [tuple(shape) for shape in saved["shapes"].tolist()]

    def variables(self) -> dict[str, tf.Variable]:
        """Those of the recording itself, by name."""
        return {name: getattr(self, name) for name in ("current", "losses", "norms", "rates")}


def _put(row: tf.Variable, index: tf.Tensor, value: tf.Tensor) -> None:
    row.scatter_update(tf.IndexedSlices(tf.cast(value, row.dtype)[None], index[None]))


def _loss_input(loss: tf.Tensor, logits: tf.Tensor) -> LossInput | None:
    """What the loss takes for logits, by the operations between the two in their graph: its own softmax
    is a part of the cross entropy. None without a graph."""
    if tf.executing_eagerly():
        return None
    seen, waiting = {logits.op}, [loss.op]
    while waiting:
        operation = waiting.pop()
        if operation in seen:
            continue
        if operation.type == "Softmax":
            return "probabilities"
        seen.add(operation)
        waiting += [tensor.op for tensor in operation.inputs]
    return "logits"
