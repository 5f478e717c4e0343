"""AdamW by the recipe: decoupled decay on what takes it, warm-up and schedule per step."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel

from frameworks.contract import Work, learning_rate, takes_decay


def build(work: Work, model: PreTrainedModel) -> tuple[torch.optim.AdamW, LambdaLR]:
    """The optimizer and its schedule. The gradient's norm is clipped by Trainer."""
    recipe = work.recipe
    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if takes_decay(n)], "weight_decay": recipe.weight_decay},
        {"params": [p for n, p in named if not takes_decay(n)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.epsilon,
        # Fused is transformers 5's default too. Under fp16 the fused step hides from accelerate
        # that it was skipped, and the schedule would move on without it.
        fused=recipe.precision != "fp16",
    )
    total_steps = work.feed.total_steps

    def factor(step: int) -> float:
        return learning_rate(recipe, step, total_steps) / recipe.learning_rate

    return optimizer, LambdaLR(optimizer, factor)


def description(optimizer: torch.optim.Optimizer) -> str:
    """Which AdamW it is."""
    kind = "fused" if optimizer.defaults["fused"] else "default"
    return f"{type(optimizer).__module__}.{type(optimizer).__name__} ({kind})"
