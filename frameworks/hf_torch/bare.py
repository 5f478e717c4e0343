"""The barest training loop of PyTorch on the same model, optimizer and feed: the control that
shows the cost of Trainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from frameworks.contract import Feed, Recipe, Watch
from frameworks.hf_torch import data, own_model, precision
from frameworks.hf_torch.model import loss_inputs
from frameworks.hf_torch.recording import Recording


def prepared(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The module that the loop calls for a batch: the model, compiled if the recipe says so."""
    return torch.compile(model) if recipe.compile else model


def train(
    forward: nn.Module,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: LambdaLR,
    scaler: torch.amp.GradScaler,
    calls: own_model.Calls | None,
    recording: Recording,
    watch: Watch,
) -> None:
    """Trains for the feed's optimizer steps, or until the watch stops it."""
    feed, recipe = recording.spec.feed, recording.spec.recipe
    place = next(model.parameters()).device
    batches = endless(data.training_batches(feed))
    watch.begin()
    for step in range(feed.total_steps):
        model.train()
        group = step_batches(feed, step, batches)
        count = sum(len(batch["labels"]) for batch in group)
        for batch in group:
            recording.batch(batch)
            inputs = on_device(batch, place)
            with precision.bare_context(recipe):
                if calls:
                    total, logits = calls.loss(forward, inputs)
                else:
                    total, logits = loss(forward, inputs, recipe)
            recording.forward(logits, None if calls else total)
            scaler.scale(total / count).backward()
            recording.loss(total / count)
        if recipe.max_gradient_norm or recording.spec.record:
            scaler.unscale_(optimizer)
            limit = recipe.max_gradient_norm or float("inf")
            norm = clip_grad_norm_(model.parameters(), limit)
            recording.step(norm, optimizer.param_groups[0]["lr"], limit)
        scale = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        if scaler.get_scale() >= scale:  # it shrinks when a step was skipped
            schedule.step()
        optimizer.zero_grad()
        if watch.step_end(step + 1):
            return


def loss(
    forward: nn.Module, inputs: dict[str, torch.Tensor], recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor]:
    """The cross entropy, summed over the examples of the batch, and the logits."""
    labels = inputs.pop("labels").long()
    logits = forward(**inputs).logits
    taken = loss_inputs(logits.float(), recipe)
    return nn.functional.cross_entropy(taken, labels, reduction="sum"), logits


def on_device(
    batch: Mapping[str, torch.Tensor], place: torch.device | str
) -> dict[str, torch.Tensor]:
    """The batch on the device. Nothing waits for the copies: the loader's memory is pinned."""
    return {name: values.to(place, non_blocking=True) for name, values in batch.items()}


def step_batches(
    feed: Feed, step: int, batches: Iterator[dict[str, torch.Tensor]]
) -> list[dict[str, torch.Tensor]]:
    """The batches of optimizer step `step` (from 0): fewer at an epoch's end."""
    place = step % feed.steps_per_epoch * feed.recipe.accumulation
    count = min(feed.recipe.accumulation, feed.batches_per_epoch - place)
    return [next(batches) for _ in range(count)]


def endless(loader: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    while True:
        yield from loader
