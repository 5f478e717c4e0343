"""The recipe's precision word in PyTorch: autocast, loss scaling and the TF32 switches."""

from __future__ import annotations

import os

import torch
from transformers import Trainer

from frameworks.contract import Precision, Recipe, Unsupported
from frameworks.hf_torch import NAME
from frameworks.hf_torch.model import device

WORDS: dict[torch.dtype, Precision] = {torch.bfloat16: "bf16", torch.float16: "fp16"}


def apply(recipe: Recipe) -> dict[str, bool]:
    """Trainer's arguments for the word. TF32 is said outright in every case, because transformers
    turns it on under `torch_compile` where nothing is said."""
    if recipe.precision in ("tf32", "bf16") and device() == "gpu":
        major, minor = torch.cuda.get_device_capability()
        if major < 8:
            why = f"the GPU has compute capability {major}.{minor}, it needs 8.0"
            raise Unsupported(NAME, "precision", recipe.precision, why)
    # transformers 4 leaves its word here, and the next session of the process would obey it.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    return {name: recipe.precision == name for name in ("bf16", "fp16", "tf32")}


def in_force(trainer: Trainer) -> Precision:
    """The word for what matrix products are done in: asked of one, under Trainer's autocast."""
    probe = torch.ones(1, 1, device=trainer.args.device)
    with trainer.accelerator.autocast():
        dtype = torch.mm(probe, probe).dtype
    return WORDS.get(dtype, "tf32" if tf32() else "fp32")


def tf32() -> bool:
    """Whether fp32 matrix products may run in TF32."""
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):
        return device() == "gpu" and matmul.fp32_precision == "tf32"
    return device() == "gpu" and matmul.allow_tf32


def switches() -> dict[str, str | bool]:
    """The framework's own switches, as they stand."""
    return {"tf32": tf32(), "float32_matmul_precision": torch.get_float32_matmul_precision()}
