"""AdamW by the recipe: decoupled decay on what takes it, warm-up and schedule per step."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks.contract import Work, learning_rate, takes_decay
from frameworks.hf_tf.model import pytorch_name
from frameworks.hf_tf.recording import Recording

Pairs = list[tuple[tf.Tensor, tf.Variable]]


def build(
    work: Work, model: TFPreTrainedModel, recording: Recording
) -> tf_keras.optimizers.Optimizer:
    """The optimizer and its schedule. Under fp16 Keras scales the loss around it."""
    optimizer = AdamW(work, recording)
    undecayed = [v for v in model.trainable_variables if not takes_decay(pytorch_name(v))]
    optimizer.exclude_from_weight_decay(var_list=undecayed)
    if work.recipe.precision == "fp16":
        return tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


class AdamW(tf_keras.optimizers.AdamW):
    """Keras's AdamW with the recipe's conventions, which are PyTorch's: epsilon is added after
    the bias correction, the gradient's norm is clipped over all variables at once, and the
    gradients of a step's batches are averaged over the step's examples."""

    def __init__(self, work: Work, recording: Recording) -> None:
        recipe = work.recipe
        super().__init__(
            learning_rate=Schedule(work),
            weight_decay=recipe.weight_decay,
            beta_1=recipe.beta1,
            beta_2=recipe.beta2,
            epsilon=recipe.epsilon,
            jit_compile=False,  # fit compiles the whole step where the recipe asks for it
        )
        self.work, self.recording = work, recording
        self.sums: list[tf.Variable] = []

    def build(self, var_list: Iterable[tf.Variable]) -> None:
        super().build(var_list)
        if self.work.recipe.accumulation > 1 and not self.sums:
            self.sums = [
                self.add_variable_from_reference(model_variable=v, variable_name="sum")
                for v in var_list
            ]

    def apply_gradients(self, grads_and_vars: Pairs, **arguments: object) -> tf.Variable:
        """Takes a batch's mean gradient; updates the variables where the batch ends a step."""
        pairs = [(tf.convert_to_tensor(g), v) for g, v in grads_and_vars if g is not None]
        if self.work.recipe.accumulation == 1:
            return super().apply_gradients(pairs, **arguments)
        with tf.init_scope():
            self.build([v for _, v in pairs])
        count, ends_step = self.recording.place()
        for total, (gradient, _) in zip(self.sums, pairs, strict=True):
            total.assign_add(gradient * count)
        tf.cond(ends_step, lambda: self._apply_sums(pairs, arguments), lambda: self.iterations + 0)
        return self.iterations

    def _apply_sums(self, pairs: Pairs, arguments: dict[str, object]) -> tf.Tensor:
        count = self.recording.step_examples()
        means = [(s / count, v) for s, (_, v) in zip(self.sums, pairs, strict=True)]
        super().apply_gradients(means, **arguments)
        for total in self.sums:
            total.assign(tf.zeros_like(total))
        return self.iterations + 0

    def _clip_gradients(self, grads: Iterable[tf.Tensor]) -> list[tf.Tensor]:
        """Clips by the norm over all variables, as `torch.nn.utils.clip_grad_norm_` does."""
        grads, limit = list(grads), self.work.recipe.max_gradient_norm
        if not (limit or self.work.record):
            return grads
        norm = tf.linalg.global_norm(grads)
        self.recording.step(norm, self.learning_rate)
        if not limit:
            return grads
        factor = tf.minimum(limit / (norm + 1e-6), 1.0)
        return [gradient * factor for gradient in grads]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One step of Adam. With `c` = sqrt(1 - beta2^t), Keras's form `c m / (sqrt(v) + eps)`
        becomes PyTorch's `m / (sqrt(v) / c + eps)` when eps is scaled by `c`."""
        step = tf.cast(self.iterations + 1, tf.float64)
        scale = tf.sqrt(1 - tf.constant(self.beta_2, tf.float64) ** step)
        unbiased = scale / (1 - tf.constant(self.beta_1, tf.float64) ** step)
        rate = tf.cast(self.learning_rate, variable.dtype) * tf.cast(unbiased, variable.dtype)
        epsilon = tf.cast(self.epsilon * scale, variable.dtype)
        index = self._index_dict[self._var_key(variable)]
        m, v = self._momentums[index], self._velocities[index]
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((tf.square(gradient) - v) * (1 - self.beta_2))
        variable.assign_sub(rate * m / (tf.sqrt(v) + epsilon))


class Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """The contract's learning rate of every step, looked up."""

    def __init__(self, work: Work) -> None:
        total = work.feed.total_steps
        self.rates = [learning_rate(work.recipe, step, total) for step in range(total)]

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        last = len(self.rates) - 1
        return tf.gather(tf.constant(self.rates, tf.float32), tf.minimum(step, last))

    def get_config(self) -> dict[str, list[float]]:
        return {"rates": self.rates}


def description(optimizer: tf_keras.optimizers.Optimizer) -> str:
    """Which AdamW it is."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scaled = "default" if inner is optimizer else "loss scaled"
    base = type(inner).__mro__[1]
    return f"{base.__module__}.{base.__name__} ({scaled})"
