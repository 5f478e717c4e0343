"""The recipe's optimizer: decoupled decay on what takes it, warm-up and schedule per step."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf

from frameworks.contract import OptimizerGroup, SessionSpec, learning_rate, takes_decay
from frameworks.keras_rnn.recording import Recording


def build(
    spec: SessionSpec, model: keras.Model, recording: Recording
) -> keras.optimizers.Optimizer:
    """The optimizer and its schedule. Under fp16 Keras scales the loss around it."""
    optimizer = BUILDERS[spec.recipe.optimizer](spec, recording)
    undecayed = [v for v in model.trainable_variables if not takes_decay(v.path)]
    optimizer.exclude_from_weight_decay(var_list=undecayed)
    if spec.recipe.precision == "fp16":
        scale = {} if spec.loss_scale is None else {"initial_scale": spec.loss_scale}
        return keras.optimizers.LossScaleOptimizer(optimizer, **scale)
    return optimizer


class WholeSteps:
    """What the recipe asks of any optimizer, in PyTorch's conventions: the gradient's norm is
    clipped over all variables at once, and the gradients of a step's batches are averaged over
    the step's examples."""

    def __init__(self, spec: SessionSpec, recording: Recording, **fields: float) -> None:
        super().__init__(
            learning_rate=Schedule(spec),
            weight_decay=spec.recipe.weight_decay,
            **fields,
        )
        self.spec, self.recording = spec, recording
        self.sums: list[keras.Variable] = []

    def build(self, variables: Iterable[keras.Variable]) -> None:
        super().build(variables)
        if self.spec.recipe.accumulation > 1 and not self.sums:
            self.sums = self.add_optimizer_variables(variables, "sum")

    def apply(
        self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable] | None = None
    ) -> None:
        """Takes a batch's mean gradient; updates the variables where the batch ends a step."""
        grads = [tf.convert_to_tensor(gradient) for gradient in grads]
        if self.spec.recipe.accumulation == 1:
            super().apply(grads, trainable_variables)
            return
        with tf.init_scope():
            self.build(trainable_variables)
        count, ends_step = self.recording.place.batch()
        for total, gradient in zip(self.sums, grads, strict=True):
            total.assign_add(gradient * count)
        tf.cond(ends_step, lambda: self._apply_sums(trainable_variables), lambda: tf.constant(0))

    def _apply_sums(self, variables: list[keras.Variable] | None) -> tf.Tensor:
        count = self.recording.place.step_examples()
        super().apply([total.value / count for total in self.sums], variables)
        for total in self.sums:
            total.assign(tf.zeros_like(total.value))
        return tf.constant(0)

    def _clip_gradients(self, grads: Iterable[tf.Tensor]) -> list[tf.Tensor]:
        """Clips by the norm over all variables, as `torch.nn.utils.clip_grad_norm_` does."""
        grads, limit = list(grads), self.spec.recipe.max_gradient_norm
        if not (limit or self.spec.record):
            return grads
        norm = tf.linalg.global_norm(grads)
        self.recording.step(norm, self._get_current_learning_rate(), limit)
        if not limit:
            return grads
        factor = tf.minimum(limit / (norm + 1e-6), 1.0)
        return [gradient * factor for gradient in grads]


class AdamW(WholeSteps, keras.optimizers.AdamW):
    """Keras's AdamW with PyTorch's convention: epsilon is added after the bias correction."""

    def __init__(self, spec: SessionSpec, recording: Recording) -> None:
        recipe = spec.recipe
        super().__init__(
            spec, recording, beta_1=recipe.beta1, beta_2=recipe.beta2, epsilon=recipe.epsilon
        )

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """One step of Adam. With `c` = sqrt(1 - beta2^t), Keras's form `c m / (sqrt(v) + eps)`
        becomes PyTorch's `m / (sqrt(v) / c + eps)` when eps is scaled by `c`.

        Not the one kernel of `hf_tf`: it rounds the last bit of weights and moments in another
        way, which would change every figure of this backend."""
        step = tf.cast(self.iterations.value + 1, tf.float64)
        scale = tf.sqrt(1 - tf.constant(self.beta_2, tf.float64) ** step)
        unbiased = scale / (1 - tf.constant(self.beta_1, tf.float64) ** step)
        rate = tf.cast(learning_rate, variable.dtype) * tf.cast(unbiased, variable.dtype)
        epsilon = tf.cast(self.epsilon * scale, variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((tf.square(gradient) - v) * (1 - self.beta_2))
        variable.assign_sub(rate * m / (tf.sqrt(v.value) + epsilon))


class Adafactor(WholeSteps, keras.optimizers.Adafactor):
    """Keras's Adafactor (Shazeer and Stern, 2018) with the recipe's learning rate used as it is,
    as Trainer has it: Keras's own scales it by the weights. Keras also keeps the factors'
    product in full, so its state is half of AdamW's."""

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """One step: the mean squares of rows and columns, their product for the whole, and the
        update clipped at a root mean square of 1."""
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        kept = 1 - step**self.beta_2_decay
        index = self._get_variable_index(variable)
        r, c, v = self._r[index], self._c[index], self._v[index]
        square = tf.square(gradient) + self.epsilon_1
        if len(variable.shape) >= 2:
            r.assign_add((tf.reduce_mean(square, -1) - r) * (1 - kept))
            c.assign_add((tf.reduce_mean(square, -2) - c) * (1 - kept))
            share = r.value / tf.reduce_mean(r.value, -1, keepdims=True)
            v.assign(share[..., None] * c.value[..., None, :])
        else:
            v.assign_add((square - v) * (1 - kept))
        update = gradient * tf.math.rsqrt(v.value)
        rate = tf.cast(learning_rate, variable.dtype)
        variable.assign_sub(rate * update / tf.maximum(1.0, self._rms(update)))


BUILDERS = {"adamw": AdamW, "adafactor": Adafactor}


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The contract's learning rate of every step, looked up."""

    def __init__(self, spec: SessionSpec) -> None:
        total = spec.feed.total_steps
        self.rates = [learning_rate(spec.recipe, step, total) for step in range(total)]

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        last = len(self.rates) - 1
        return tf.gather(tf.constant(self.rates, tf.float32), tf.minimum(step, last))

    def get_config(self) -> dict[str, list[float]]:
        return {"rates": self.rates}


def word(optimizer: keras.optimizers.Optimizer) -> str:
    """The recipe's word for the optimizer; its class where the recipe has none."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for name, kind in BUILDERS.items():
        if isinstance(inner, kind):
            return name
    return f"{type(inner).__module__}.{type(inner).__name__}"


def groups(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> tuple[OptimizerGroup, ...]:
    """The settings of the parameters with weight decay and of those without, as the next step uses
    them."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    held = inner._trainable_variables
    found: dict[float, list[str]] = {}
    for variable in held:
        decay = inner.weight_decay if inner._use_weight_decay(variable) else None
        found.setdefault(float(decay or 0), []).append(variable.path)
    return tuple(
        OptimizerGroup(
            parameters=tuple(names),
            learning_rate=float(inner.learning_rate),
            weight_decay=decay,
            beta1=getattr(inner, "beta_1", None),
            beta2=getattr(inner, "beta_2", None),
            epsilon=getattr(inner, "epsilon", None),
        )
        for decay, names in found.items()
    )


def description(optimizer: keras.optimizers.Optimizer) -> str:
    """The class of the optimizer, and how it runs."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scaled = "default" if inner is optimizer else "loss scaled"
    base = type(inner).__bases__[-1]
    return f"{base.__module__}.{base.__name__} ({scaled})"
