"""CUDA's kernels on fake tensors, where they take other buffers than a CPU's.

Fake tensors of this build live on the CPU, so for a GPU the functions that CUDA does in another way
(`CUDA_FUNCTIONS`) are swapped for what CUDA does. Sources: the lists of autocast's casts in
'Automatic Mixed Precision'; `aten/src/ATen/native/transformers/attention.cpp` for the way to the
attention kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from frameworks.contract import Device

MASK_ALIGNMENT = 16  # columns: CUDA's attention kernel takes no other masks
aten = torch.ops.aten


@contextmanager
def kernels_of(device: Device) -> Iterator[None]:
    """For a GPU, what CUDA does in place of what a CPU does where the buffers differ. Names are
    swapped, not calls watched: a mode that watches them is off in a backward pass, where gradient
    checkpointing calls them again."""
    swaps = CUDA_FUNCTIONS if device == "gpu" else {}
    originals = {place: getattr(*place) for place in swaps}
    for (module, name), function in swaps.items():
        setattr(module, name, function)
    try:
        yield
    finally:
        for (module, name), function in originals.items():
            setattr(module, name, function)


def _dropout(
    input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> torch.Tensor:
    """CUDA keeps a mask of one byte an element, where a CPU keeps the factors."""
    return torch.native_dropout(input, p, True)[0] if training and p else input


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """The memory-efficient kernel, which CUDA takes for masked batches on all GPUs; the flash
    kernel, for unmasked ones, takes the same buffers."""
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (t.to(torch.get_autocast_dtype("cpu")) for t in (query, key, value))
    if attn_mask is not None:
        attn_mask = _mask(attn_mask, query)
    return aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, torch.is_grad_enabled(), dropout_p, is_causal, scale=scale
    )[0]


def _mask(mask: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """A mask as numbers, in the queries' type, its rows aligned and shown to every head."""
    if mask.dtype == torch.bool:
        mask = torch.where(mask, torch.zeros((), dtype=query.dtype), float("-inf"))
    mask = mask.to(query.dtype)
    columns = mask.shape[-1]
    if columns % MASK_ALIGNMENT:
        mask = functional.pad(mask, (0, MASK_ALIGNMENT - columns % MASK_ALIGNMENT))
        mask = mask[..., :columns]
    return mask.expand(*query.shape[:-1], columns)


def _in_fp32(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Autocast does these in fp32 on CUDA; on a CPU it leaves them as they come."""

    def wide(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if torch.is_autocast_enabled("cpu") and input.is_floating_point():
            input = input.float()
        return function(input, *args, **kwargs)

    return wide


def _cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    *args: Any,
    label_smoothing: float = 0.0,
    **kwargs: Any,
) -> torch.Tensor:
    """CUDA's autocast has no rule for this function, only for the two that it calls: log_softmax,
    which keeps the logits' type because it is called with it, and the loss, whose input is cast to
    fp32. On a CPU, autocast casts the logits first. Nothing here smooths labels."""
    if not torch.is_autocast_enabled("cpu"):
        return _real_cross_entropy(input, target, *args, label_smoothing=label_smoothing, **kwargs)
    return functional.nll_loss(torch.log_softmax(input, 1, input.dtype), target, *args, **kwargs)


_real_cross_entropy = functional.cross_entropy
CUDA_FUNCTIONS: dict[tuple[Any, str], Callable[..., Any]] = {
    (functional, "dropout"): _dropout,
    (functional, "scaled_dot_product_attention"): _attention,
    (functional, "layer_norm"): _in_fp32(functional.layer_norm),
    (functional, "softmax"): _in_fp32(functional.softmax),
    (functional, "log_softmax"): _in_fp32(functional.log_softmax),
    (functional, "cross_entropy"): _cross_entropy,
    (torch, "pow"): _in_fp32(torch.pow),
}
