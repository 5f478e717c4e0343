"""The recipe's optimizer: decoupled decay on what takes it, warm-up and schedule per step."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf
import tf_keras
from transformers import TFPreTrainedModel

from frameworks.contract import OptimizerGroup, SessionSpec, learning_rate, takes_decay
from frameworks.hf_tf.model import pytorch_name
from frameworks.hf_tf.recording import Recording

Pairs = list[tuple[tf.Tensor, tf.Variable]]


def build(
    spec: SessionSpec, model: TFPreTrainedModel, recording: Recording
) -> tf_keras.optimizers.Optimizer:
    """The optimizer and its schedule. Under fp16 Keras scales the loss around it."""
    optimizer = BUILDERS[spec.recipe.optimizer](spec, recording)
    undecayed = [v for v in model.trainable_variables if not takes_decay(pytorch_name(v))]
    optimizer.exclude_from_weight_decay(var_list=undecayed)
    if spec.recipe.precision == "fp16":
        scale = {} if spec.loss_scale is None else {"initial_scale": spec.loss_scale}
        return tf_keras.mixed_precision.LossScaleOptimizer(optimizer, **scale)
    return optimizer


class WholeSteps:
    """What the recipe asks of any optimizer, in PyTorch's conventions: the gradient's norm is
    clipped over all variables at once, and the gradients of a step's batches are averaged over
    the step's examples."""

    def __init__(self, spec: SessionSpec, recording: Recording, **fields: float) -> None:
        super().__init__(
            learning_rate=Schedule(spec),
            weight_decay=spec.recipe.weight_decay,
            jit_compile=False,  # fit compiles the whole step where the recipe asks for it
            **fields,
        )
        self.spec, self.recording = spec, recording
        self.sums: list[tf.Variable] = []

    def build(self, var_list: Iterable[tf.Variable]) -> None:
        super().build(var_list)
        if self.spec.recipe.accumulation > 1 and not self.sums:
            self.sums = [
                self.add_variable_from_reference(model_variable=v, variable_name="sum")
                for v in var_list
            ]

    def apply_gradients(self, grads_and_vars: Pairs, **arguments: object) -> tf.Variable:
        """Takes a batch's mean gradient; updates the variables where the batch ends a step."""
        pairs = [(tf.convert_to_tensor(g), v) for g, v in grads_and_vars if g is not None]
        if self.spec.recipe.accumulation == 1:
            return super().apply_gradients(pairs, **arguments)
        with tf.init_scope():
            self.build([v for _, v in pairs])
        count, ends_step = self.recording.place.batch()
        for total, (gradient, _) in zip(self.sums, pairs, strict=True):
            total.assign_add(gradient * count)
        tf.cond(ends_step, lambda: self._apply_sums(pairs, arguments), lambda: self.iterations + 0)
        return self.iterations

    def _apply_sums(self, pairs: Pairs, arguments: dict[str, object]) -> tf.Tensor:
        count = self.recording.place.step_examples()
        means = [(s / count, v) for s, (_, v) in zip(self.sums, pairs, strict=True)]
        super().apply_gradients(means, **arguments)
        for total in self.sums:
            total.assign(tf.zeros_like(total))
        return self.iterations + 0

    def _clip_gradients(self, grads: Iterable[tf.Tensor]) -> list[tf.Tensor]:
        """Clips by the norm over all variables, as `torch.nn.utils.clip_grad_norm_` does."""
        grads, limit = list(grads), self.spec.recipe.max_gradient_norm
        if not (limit or self.spec.record):
            return grads
        norm = tf.linalg.global_norm(grads)
        self.recording.step(norm, self.learning_rate, limit)
        if not limit:
            return grads
        factor = tf.minimum(limit / (norm + 1e-6), 1.0)
        return [gradient * factor for gradient in grads]


class AdamW(WholeSteps, tf_keras.optimizers.AdamW):
    """Keras's AdamW with PyTorch's convention: epsilon is added after the bias correction."""

    def __init__(self, spec: SessionSpec, recording: Recording) -> None:
        recipe = spec.recipe
        super().__init__(
            spec, recording, beta_1=recipe.beta1, beta_2=recipe.beta2, epsilon=recipe.epsilon
        )

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One step of Adam. With `c` = sqrt(1 - beta2^t), Keras's form `c m / (sqrt(v) + eps)`
        becomes PyTorch's `m / (sqrt(v) / c + eps)` when eps is scaled by `c`.

        One kernel does it, as for transformers' `create_optimizer`: Keras's own AdamW goes over
        the weights a dozen times and takes nearly twice as long. Powers of 0 tell the kernel
        that the rate has its bias correction already."""
        step = tf.cast(self.iterations + 1, tf.float64)
        scale = tf.sqrt(1 - tf.constant(self.beta_2, tf.float64) ** step)
        unbiased = scale / (1 - tf.constant(self.beta_1, tf.float64) ** step)
        rate = tf.cast(self.learning_rate, variable.dtype) * tf.cast(unbiased, variable.dtype)
        epsilon = tf.cast(self.epsilon * scale, variable.dtype)
        index = self._index_dict[self._var_key(variable)]
        m, v = self._momentums[index], self._velocities[index]
        zero = tf.zeros((), variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            grad=gradient,
            lr=rate,
            epsilon=epsilon,
            beta1=self.beta_1,
            beta2=self.beta_2,
            beta1_power=zero,
            beta2_power=zero,
        )


class Adafactor(WholeSteps, tf_keras.optimizers.Adafactor):
    """Keras's Adafactor (Shazeer and Stern, 2018) with the recipe's learning rate used as it is,
    as Trainer has it: Keras's own scales it by the weights. Keras also keeps the factors'
    product in full, so its state is half of AdamW's."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One step: the mean squares of rows and columns, their product for the whole, and the
        update clipped at a root mean square of 1."""
        step = tf.cast(self.iterations + 1, variable.dtype)
        kept = 1 - step**self.beta_2_decay
        index = self._index_dict[self._var_key(variable)]
        r, c, v = self._r[index], self._c[index], self._v[index]
        square = tf.square(gradient) + self.epsilon_1
        if len(variable.shape) >= 2:
            r.assign_add((tf.reduce_mean(square, -1) - r) * (1 - kept))
            c.assign_add((tf.reduce_mean(square, -2) - c) * (1 - kept))
            share = r / tf.reduce_mean(r, -1, keepdims=True)
            v.assign(share[..., None] * c[..., None, :])
        else:
            v.assign_add((square - v) * (1 - kept))
        update = gradient * tf.math.rsqrt(v)
        rate = tf.cast(self.learning_rate, variable.dtype)
        variable.assign_sub(rate * update / tf.maximum(1.0, self._rms(update)))


BUILDERS = {"adamw": AdamW, "adafactor": Adafactor}


class Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """The contract's learning rate of every step, looked up."""

    def __init__(self, spec: SessionSpec) -> None:
        total = spec.feed.total_steps
        self.rates = [learning_rate(spec.recipe, step, total) for step in range(total)]

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        last = len(self.rates) - 1
        return tf.gather(tf.constant(self.rates, tf.float32), tf.minimum(step, last))

    def get_config(self) -> dict[str, list[float]]:
        return {"rates": self.rates}


def word(optimizer: tf_keras.optimizers.Optimizer) -> str:
    """The recipe's word for the optimizer; its class where the recipe has none."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for name, kind in BUILDERS.items():
        if isinstance(inner, kind):
            return name
    return f"{type(inner).__module__}.{type(inner).__name__}"


def groups(
    optimizer: tf_keras.optimizers.Optimizer, model: TFPreTrainedModel
) -> tuple[OptimizerGroup, ...]:
    """The settings of the parameters with weight decay and of those without, as the next step uses
    them."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    held = [v for v in model.weights if inner._var_key(v) in inner._index_dict]
    found: dict[float, list[str]] = {}
    for variable in held:
        decay = inner.weight_decay if inner._use_weight_decay(variable) else None
        found.setdefault(float(decay or 0), []).append(pytorch_name(variable))
    return tuple(
        OptimizerGroup(
            parameters=tuple(names),
            learning_rate=float(inner._learning_rate(inner.iterations)),
            weight_decay=decay,
            beta1=getattr(inner, "beta_1", None),
            beta2=getattr(inner, "beta_2", None),
            epsilon=getattr(inner, "epsilon", None),
        )
        for decay, names in found.items()
    )


def description(optimizer: tf_keras.optimizers.Optimizer) -> str:
    """The class of the optimizer, and how it runs."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scaled = "default" if inner is optimizer else "loss scaled"
    base = type(inner).__bases__[-1]
    return f"{base.__module__}.{base.__name__} ({scaled})"
