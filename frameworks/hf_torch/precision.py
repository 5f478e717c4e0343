"""The recipe's precision in PyTorch: autocast, loss scaling and the TF32 switches."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch

from frameworks.contract import Recipe, SessionSpec
from frameworks.contract.product import Product, factors
from frameworks.hf_torch import device

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def apply(recipe: Recipe) -> dict[str, bool]:
    """Trainer's arguments for the precision. TF32 is always set explicitly, because transformers
    turns it on under `torch_compile` by default."""
    # transformers 4 leaves its word here, and the next session of the process would obey it.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    return {name: recipe.precision == name for name in ("bf16", "fp16", "tf32")}


def set_products(recipe: Recipe) -> None:
    """Switches a GPU's TF32 as the recipe says, after the Trainer was built: accelerate switches it on
    for a compiled model, whatever Trainer's argument says. By the old switch, which sets the new one
    too; PyTorch raises an error where the two differ."""
    if device.kind() == "gpu":
        torch.backends.cuda.matmul.allow_tf32 = recipe.precision == "tf32"


def bare_context(recipe: Recipe) -> torch.autocast:
    """The context in which the bare loop computes a batch's logits."""
    dtype = DTYPES.get(recipe.precision)
    return torch.autocast(device.place(), dtype, enabled=dtype is not None)


def bare_scaler(spec: SessionSpec) -> torch.amp.GradScaler:
    """The loss scaler of the bare loop."""
    scale = {} if spec.loss_scale is None else {"init_scale": spec.loss_scale}
    return torch.amp.GradScaler(device.place(), enabled=spec.recipe.precision == "fp16", **scale)


def product(context: AbstractContextManager) -> Product:
    """The bits that products keep in a loop's context: a layer's product, and that of attention with
    many heads."""
    a, b = (torch.from_numpy(factor).to(device.place()) for factor in factors())
    with torch.no_grad(), context:
        results = [torch.nn.functional.linear(a, b), torch.bmm(a[None], b[None])[0]]
    return Product.of(
        *[result.float().cpu().numpy() for result in results],
        half=results[0].dtype is torch.float16,
    )


def switches() -> dict[str, str | bool | None]:
    """The framework's own switches, read back; None if this version has none. Not by the old
    `get_float32_matmul_precision`: it raises an error once anybody has used the new switches."""
    backends = {"cuda": torch.backends.cuda, "mkldnn": torch.backends.mkldnn}
    found: dict[str, str | bool | None] = {
        f"{name}_fp32_precision": getattr(getattr(b, "matmul", None), "fp32_precision", None)
        for name, b in backends.items()
    }
    found["deterministic"] = (
        torch.are_deterministic_algorithms_enabled() or torch.backends.cudnn.deterministic
    )
    found["onednn"] = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
    # As many as a thread pool shares out: each of its threads has its own mode.
    tiny = torch.finfo(torch.float32).tiny
    smallest = torch.full((2**16,), tiny, dtype=torch.float32, device=device.place())
    found["flushes_denormals"] = not bool((smallest / 2).all())
    return found


def loss_scaling(scaler: torch.amp.GradScaler | None) -> dict[str, float]:
    """How losses are scaled: the factor, the steps since it changed, and the steps after which it
    grows. Empty if they are not scaled."""
    state = scaler.state_dict() if scaler is not None else {}
    names = {
        "loss_scale": "scale",
        "loss_scale_steps": "_growth_tracker",
        "loss_scale_growth_steps": "growth_interval",
    }
    return {ours: float(state[theirs]) for ours, theirs in names.items() if state}
