"""Trainer over the feed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader
from transformers import Trainer

from frameworks.contract import StepPhase
from frameworks.hf_torch import data, own_model
from frameworks.hf_torch.recording import Recording


class FeedTrainer(Trainer):
    """Trainer with the feed's order, the recording, and losses and logits of a user's own model; nothing
    else is changed."""

    def __init__(
        self, recording: Recording, calls: own_model.Calls | None, **arguments: object
    ) -> None:
        super().__init__(**arguments)
        self.recording, self.calls = recording, calls
        self._clip = self.accelerator.clip_grad_norm_
        self.accelerator.clip_grad_norm_ = self._clip_and_record

    def get_train_dataloader(self) -> DataLoader:
        feed = self.recording.spec.feed
        epoch = len(self.recording.batches) // feed.batches_per_epoch
        return self.accelerator.prepare(data.training_batches(feed, epoch))

    def get_test_dataloader(self, test_dataset: data.Indices) -> DataLoader:
        recipe = self.recording.spec.recipe
        size = test_dataset.batch_size
        loader = data.evaluation_batches(test_dataset.examples, recipe, batch_size=size)
        return self.accelerator.prepare(loader)

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        self.recording.batch(inputs)
        share = super().training_step(model, inputs, num_items_in_batch)
        self.recording.loss(share)
        return share

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        **named: object,
    ) -> object:
        if self.calls:
            total, logits = self.calls.loss(model, inputs)
            loss, outputs = total / named["num_items_in_batch"], {"logits": logits}
        else:
            loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **named)
        self.recording.forward(outputs["logits"], None if self.calls else loss)
        return (loss, outputs) if return_outputs else loss

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        *arguments: object,
        **named: object,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        if self.calls is None:
            return super().prediction_step(model, inputs, *arguments, **named)
        with torch.no_grad(), self.compute_loss_context_manager():
            logits = self.calls.logits(model, self._prepare_inputs(inputs))
        return None, logits.float(), None

    def _clip_and_record(self, *arguments: object) -> torch.Tensor:
        norm = self._clip(*arguments)
        self.recording.step(norm, self.optimizer.param_groups[0]["lr"], float(arguments[1]))
        return norm


def tell_phases(trainer: Trainer, begins: Callable[[StepPhase | None], None]) -> bool:
    """At Trainer's seams and the optimizer's: the loss belongs to the forward pass, clipping to
    the backward pass, and what lies between two steps to neither."""
    compute_loss = trainer.compute_loss

    def forward(*arguments: object, **named: object) -> object:
        begins("forward")
        loss = compute_loss(*arguments, **named)
        begins("backward")
        return loss

    trainer.compute_loss = forward
    trainer.optimizer.register_step_pre_hook(lambda *_: begins("optimizer"))
    trainer.optimizer.register_step_post_hook(lambda *_: begins(None))
    return True
