"""Transformers on PyTorch, trained by `Trainer.train()`. Imports no framework: the parent
process asks `unsupported` here, a worker process uses `train.Session`."""

from frameworks.contract import Device, Recipe, Start, Unsupported, lacks

NAME = "hf_torch"


def unsupported(recipe: Recipe, start: Start, device: Device = "cpu") -> list[Unsupported]:
    """Every field that this backend cannot honour on this device; empty when it honours all."""
    found = []
    if why := lacks(recipe.precision, device):
        found.append(Unsupported(NAME, "precision", recipe.precision, why))
    elif recipe.precision == "fp16" and device == "cpu":
        why = "Trainer scales losses for fp16 on a GPU only"
        found.append(Unsupported(NAME, "precision", "fp16", why))
    if recipe.length > start.max_length:
        why = f"the checkpoint has positions for {start.max_length} tokens"
        found.append(Unsupported(NAME, "length", recipe.length, why))
    return found
