"""Reads back what a session runs: asked of PyTorch and of Trainer, not of the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from frameworks.contract import Effective, InForce
from frameworks.hf_torch import device, model, optimizer, own_model, precision

if TYPE_CHECKING:
    from frameworks.hf_torch.train import Session


def effective(session: Session) -> Effective:
    """The settings in force."""
    sizes = [p.numel() for p in session.model.parameters() if p.requires_grad]
    context = (
        session.trainer.accelerator.autocast()
        if session.bare is None
        else precision.bare_context(session.spec.recipe)
    )
    product = precision.product(context)
    scaler = session.trainer.accelerator.scaler if session.bare is None else session.bare_scaler
    return Effective(
        precision=product.word,
        attention=session.recording.attention or model.asked_attention(session.model),
        optimizer=optimizer.description(running_optimizer(session)),
        compiled=compiled(session),
        parameters=sum(sizes),
        embedding_parameters=own_model.embedding_parameters(session.model),
        device=f"{device.kind()}: {next(session.model.parameters()).device}",
        gradient_checkpointing=model.checkpoints_activations(session.model),
        threads=torch.get_num_threads(),
        details=precision.switches()
        | precision.loss_scaling(scaler)
        | {"product_bits": product.bits}
        | {"compiled_graphs": float(model.compiled_graphs() - session.graphs)},
        in_force=in_force(session),
    )


def in_force(session: Session) -> InForce:
    """The recipe as Trainer, or the bare loop, runs it."""
    running, named = running_optimizer(session), dict(session.model.named_parameters())
    compiles_nothing = session.spec.recipe.compile and not compiled(session)
    return InForce(
        attention=session.recording.attention,
        optimizer=optimizer.word(running),
        groups=optimizer.groups(running, session.model),
        parameters=session.trained,
        frozen=session.trained - own_model.trained(session.model),
        weight_types=frozenset(str(p.dtype).removeprefix("torch.") for p in named.values()),
        max_gradient_norm=session.recording.clipped_at,
        dropout=session.rates(session.model),
        checkpoint_dropout=session.usual_dropout,
        batches=tuple(session.recording.batches),
        loss_input=session.recording.loss_input,
        not_compiled=model.not_compiled() if compiles_nothing else None,
    )


def compiled(session: Session) -> bool:
    """Whether torch.compile compiled the model that trained, in its first forward pass: optimizers
    may compile graphs of their own."""
    running = session.trainer.model_wrapped if session.bare is None else session.bare
    has_graphs = hasattr(running, "_orig_mod") and session.recording.graphs > session.graphs
    return has_graphs and not (model.reached_recompile_limit() or model.hides_errors())


def running_optimizer(session: Session) -> torch.optim.Optimizer:
    """The optimizer that trains: Trainer wraps it, and could have made another."""
    if session.bare is not None or session.trainer.optimizer is None:
        return session.optimizer
    return getattr(session.trainer.optimizer, "optimizer", session.trainer.optimizer)
