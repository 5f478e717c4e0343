"""Reads back what a session runs: asked of TensorFlow and Keras, not of the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from frameworks._tensorflow import xla
from frameworks.contract import Effective, InForce
from frameworks.keras_rnn import device, model, optimizer, precision

if TYPE_CHECKING:
    from frameworks.keras_rnn.train import Session


def effective(session: Session) -> Effective:
    """The settings in force."""
    sizes = model.sizes(session.model)
    by_xla = compiled(session)
    product = precision.product(session.model, by_xla)
    return Effective(
        precision=product.word,
        attention="none",
        optimizer=optimizer.description(running_optimizer(session)),
        compiled=by_xla,
        parameters=sum(sizes.values()),
        embedding_parameters=sum(n for name, n in sizes.items() if "embeddings" in name),
        device=f"{device.kind()}: {session.model.trainable_weights[0].value.device}",
        threads=session.threads,
        details=precision.switches()
        | precision.loss_scaling(session.optimizer)
        | {"product_bits": product.bits},
        in_force=in_force(session),
    )


def in_force(session: Session) -> InForce:
    """The recipe as `fit`, or the bare loop, runs it."""
    running, compiles = running_optimizer(session), session.spec.recipe.compile
    return InForce(
        attention=None,
        optimizer=optimizer.word(running),
        groups=optimizer.groups(running, session.model),
        parameters=session.trained,
        frozen=session.trained - model.names(session.model.trainable_weights),
        weight_types=frozenset(tf.as_dtype(v.dtype).name for v in session.model.weights),
        max_gradient_norm=session.recording.clipped_at,
        dropout=session.rates(session.model),
        checkpoint_dropout=session.usual_dropout,
        batches=session.recording.batches(),
        loss_input=session.recording.loss_input,
        not_compiled=xla.not_compiled(session.recording.graph) if compiles else None,
    )


def compiled(session: Session) -> bool:
    """Whether XLA compiles the loop that trained."""
    if session.bare:
        return bool(session.bare.function_spec.jit_compile)
    return xla.compiled(session.recording.graph)


def running_optimizer(session: Session) -> keras.optimizers.Optimizer:
    """The optimizer that trains: Keras wraps it for some policies."""
    return session.optimizer if session.bare else session.model.optimizer
