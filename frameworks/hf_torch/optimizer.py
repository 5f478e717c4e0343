"""The recipe's optimizer: decoupled decay on what takes it, warm-up and schedule per step."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers.optimization import Adafactor

from frameworks.contract import OptimizerGroup, Recipe, SessionSpec, learning_rate, takes_decay

Groups = list[dict[str, object]]


def build(spec: SessionSpec, model: nn.Module) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """The optimizer and its schedule. The gradient's norm is clipped by Trainer."""
    recipe = spec.recipe
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if takes_decay(n)], "weight_decay": recipe.weight_decay},
        {"params": [p for n, p in named if not takes_decay(n)], "weight_decay": 0.0},
    ]
    optimizer = BUILDERS[recipe.optimizer](recipe, groups, model)
    total_steps = spec.feed.total_steps

    def factor(step: int) -> float:
        return learning_rate(recipe, step, total_steps) / recipe.learning_rate

    return optimizer, LambdaLR(optimizer, factor)


def adamw(recipe: Recipe, groups: Groups, model: nn.Module) -> torch.optim.AdamW:
    # Fused is transformers 5's default too. Under fp16 the fused step hides from accelerate that
    # it was skipped, and the schedule would move on without it.
    return torch.optim.AdamW(groups, **adam_fields(recipe), fused=recipe.precision != "fp16")


def adafactor(recipe: Recipe, groups: Groups, model: nn.Module) -> Adafactor:
    """Adafactor (Shazeer and Stern, 2018) as Trainer sets it: no first moment, the update clipped
    at 1, and the learning rate used as it is, not scaled by the weights or the step."""
    return Adafactor(groups, lr=recipe.learning_rate, scale_parameter=False, relative_step=False)


def adamw_8bit(recipe: Recipe, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
    """AdamW with moments of 8 bits in blocks of 256 (Dettmers et al., 2022). As with Trainer, those
    of embeddings keep 32 bits; so do those of tensors below 4,096 values."""
    from bitsandbytes.optim import AdamW8bit, GlobalOptimManager  # the others need it not

    manager = GlobalOptimManager.get_instance()
    manager.initialize()  # it goes by id, and an earlier model's could name this one's tensors
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            manager.register_module_override(module, "weight", {"optim_bits": 32})
    return AdamW8bit(groups, **adam_fields(recipe))


def adam_fields(recipe: Recipe) -> dict[str, object]:
    betas = (recipe.beta1, recipe.beta2)
    return {"lr": recipe.learning_rate, "betas": betas, "eps": recipe.epsilon}


BUILDERS = {"adamw": adamw, "adafactor": adafactor, "adamw_8bit": adamw_8bit}


def word(optimizer: torch.optim.Optimizer) -> str:
    """The recipe's word for the optimizer; its class where the recipe has none."""
    kind = type(optimizer)
    for name, module, title in (
        ("adamw", "torch.", "AdamW"),
        ("adafactor", "transformers.", "Adafactor"),
        ("adamw_8bit", "bitsandbytes.", "AdamW8bit"),
    ):
        if kind.__name__ == title and kind.__module__.startswith(module):
            return name
    return f"{kind.__module__}.{kind.__name__}"


def groups(optimizer: torch.optim.Optimizer, model: nn.Module) -> tuple[OptimizerGroup, ...]:
    """The settings of every parameter group, as the next step uses them."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    adam = word(optimizer) in ("adamw", "adamw_8bit")  # others have none that the recipe names
    return tuple(
        OptimizerGroup(
            parameters=tuple(names.get(id(p), "a tensor without a name") for p in group["params"]),
            learning_rate=float(group["lr"]),
            weight_decay=group["weight_decay"],
            beta1=group["betas"][0] if adam else None,
            beta2=group["betas"][1] if adam else None,
            epsilon=group["eps"] if adam else None,
        )
        for group in optimizer.param_groups
    )


def description(optimizer: torch.optim.Optimizer) -> str:
    """The class of the optimizer, and how it runs."""
    kind = "fused" if optimizer.defaults.get("fused") else "default"
    return f"{type(optimizer).__module__}.{type(optimizer).__name__} ({kind})"
