"""The classifier: a transformers model on TensorFlow, from the folder that all backends start
at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
import tf_keras
from transformers import AutoConfig, TFAutoModelForSequenceClassification, TFPreTrainedModel
from transformers.modeling_tf_pytorch_utils import (
    TransposeType,
    convert_tf_weight_name_to_pt_weight_name,
)

from frameworks.contract import DROPOUT_FIELDS, Recipe, SessionSpec


def build(spec: SessionSpec) -> TFPreTrainedModel:
    """The model with the starting weights, on its device.

    Raises `ValueError` where the folder has not all weights that the model needs.
    """
    tf_keras.utils.set_random_seed(spec.recipe.seed)
    with dropout_generators(spec.resumable):
        model, report = TFAutoModelForSequenceClassification.from_pretrained(
            spec.start.folder,
            config=configuration(spec),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if report["missing_keys"]:
        raise ValueError(
            f"{spec.start.folder} has no weights named {sorted(report['missing_keys'])}"
        )
    return model


@contextmanager
def dropout_generators(readable: bool) -> Iterator[None]:
    """Models that are built inside draw dropout from generators whose state can be read, if
    `readable`, and from Keras's usual ones, whose state is hidden in their operations, if not."""
    switch = tf_keras.backend.experimental
    before = switch.is_tf_random_generator_enabled()
    if readable:
        switch.enable_tf_random_generator()
    try:
        yield
    finally:
        if not before:
            switch.disable_tf_random_generator()


def configuration(spec: SessionSpec) -> AutoConfig:
    """The folder's config under the recipe's dropout."""
    config = AutoConfig.from_pretrained(
        spec.start.folder, local_files_only=True, trust_remote_code=False
    )
    config.pad_token_id = spec.train.pad_id
    config.use_cache = False
    if spec.recipe.dropout is not None:
        config.update(dict.fromkeys(DROPOUT_FIELDS[spec.start.architecture], spec.recipe.dropout))
    return config


def dropout_rates(model: TFPreTrainedModel) -> dict[str, float]:
    """The dropout rate of every layer that has one."""
    layers = [m for m in model.submodules if isinstance(m, tf_keras.layers.Dropout)]
    return {f"{layer.name} ({i})": float(layer.rate) for i, layer in enumerate(layers)}


def checkpoint_dropout(spec: SessionSpec) -> frozenset[float]:
    """The rates of the checkpoint's config."""
    config = AutoConfig.from_pretrained(
        spec.start.folder, local_files_only=True, trust_remote_code=False
    )
    rates = [getattr(config, name, None) for name in DROPOUT_FIELDS[spec.start.architecture]]
    return frozenset(rate for rate in rates if rate is not None)


def names(variables: Iterable[tf.Variable]) -> frozenset[str]:
    """PyTorch's names of the variables."""
    return frozenset(map(pytorch_name, variables))


def sizes(model: TFPreTrainedModel) -> dict[str, int]:
    """How many numbers every trainable weight has, by PyTorch's names."""
    return {pytorch_name(v): int(np.prod(v.shape)) for v in model.trainable_weights}


def weights(model: TFPreTrainedModel) -> dict[str, np.ndarray]:
    """A copy of all trainable weights, float32, by PyTorch's names and layout."""
    return {
        pytorch_name(variable): _transposed(variable, variable.numpy().astype(np.float32))
        for variable in model.trainable_weights
    }


def load_weights(model: TFPreTrainedModel, saved: Mapping[str, np.ndarray]) -> None:
    """Restores what `weights` returned; `KeyError` names a missing weight."""
    for variable in model.trainable_weights:
        values = _transposed(variable, saved[pytorch_name(variable)])
        variable.assign(values.reshape(variable.shape))


def pytorch_name(variable: tf.Variable) -> str:
    """The name that PyTorch's twin of the model gives a variable."""
    return convert_tf_weight_name_to_pt_weight_name(variable.name, tf_weight_shape=variable.shape)[
        0
    ]


def _transposed(variable: tf.Variable, values: np.ndarray) -> np.ndarray:
    """Between the layouts, either way: dense kernels are (in, out) here and (out, in) there, and
    GPT-2's biases are (1, out) here and (out,) there."""
    _, transpose = convert_tf_weight_name_to_pt_weight_name(
        variable.name, tf_weight_shape=variable.shape
    )
    if transpose is TransposeType.SIMPLE:
        return values.T.copy()
    return values.reshape(-1) if variable.name.endswith("bias:0") else values


def loss_inputs(logits: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """What the loss takes for logits: the probabilities, where the recipe makes that mistake."""
    return tf.nn.softmax(logits) if recipe.mistake == "softmax_before_loss" else logits
