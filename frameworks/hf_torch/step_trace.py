"""The buffers of a training step, told without computing it.

The real model, loss, backward pass, clipping and optimizer run on fake tensors: they have shapes,
types and storages, and no data. A dispatch mode below autograd notes every storage as it is taken
and as it is given back. Fake tensors of this build live on the CPU, so for a GPU the functions
that CUDA does in another way (`CUDA_FUNCTIONS`) are swapped for what CUDA does.

Sources: PyTorch's documentation of FakeTensor and of `torch.utils._python_dispatch`; the lists of
autocast's casts in 'Automatic Mixed Precision'; `aten/src/ATen/native/transformers/attention.cpp`
for the way to the attention kernels.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from frameworks.contract import (
    Device,
    Examples,
    Part,
    Phase,
    Recipe,
    SessionSpec,
    Start,
    StepTrace,
    Unsupported,
)
from frameworks.hf_torch import NAME, model, optimizer
from frameworks.hf_torch.precision import DTYPES
from frameworks.hf_torch.train import mean_loss

STEPS = 3  # as many as a probe takes; from the second on the optimizer has its state
MASK_ALIGNMENT = 16  # columns: CUDA's attention kernel takes no other masks
aten = torch.ops.aten


def step_trace(
    recipe: Recipe, start: Start, batch_size: int, device: Device, phase: Phase = "training"
) -> StepTrace:
    """The buffers of three optimizer steps (or evaluation batches) of full-length examples, as the
    device's kernels and types would take them. `start` needs no weights, only its config.json.

    Raises `Unsupported` for what cannot be followed."""
    if recipe.compile:
        why = "its buffers are planned by the compiler; a prediction follows the eager kernels"
        raise Unsupported(NAME, "compile", True, why)
    if recipe.optimizer == "adamw_8bit":
        why = "its library computes on addresses, and a traced step has none"
        raise Unsupported(NAME, "optimizer", "adamw_8bit", why)
    spec = SessionSpec(
        recipe.model_copy(update={"batch_size": batch_size}), start, one_example(recipe)
    )

    def steps(network: PreTrainedModel, ledger: Ledger) -> StepTrace:
        if phase == "training":
            return train(spec, network, device, ledger)
        return evaluate(spec, network, ledger)

    return followed(lambda: build(spec), steps, device)


def followed(
    build: Callable[[], PreTrainedModel],
    steps: Callable[[PreTrainedModel, Ledger], StepTrace],
    device: Device,
) -> StepTrace:
    """A model's weights and what the steps do with them, told by a ledger; nothing is computed."""
    ledger = Ledger()
    with FakeTensorMode(allow_non_fake_inputs=True), _uncollected():
        network = build()
        with ledger, _kernels(device):
            for weight in (*network.parameters(), *network.buffers()):
                ledger.note(weight, "weights")
            for module in network.modules():
                ledger.watch(module)
            return steps(network, ledger)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's collector, whose moment hangs on all that the process has done before."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def build(spec: SessionSpec) -> PreTrainedModel:
    """The model of the start's config, with weights that hold nothing."""
    network = AutoModelForSequenceClassification.from_config(
        model.configuration(spec),
        torch_dtype=torch.float32,
        attn_implementation=spec.recipe.attention,
    )
    if spec.recipe.gradient_checkpointing:
        model.checkpoint_activations(network, same_dropout=False)
    return network


def train(spec: SessionSpec, network: PreTrainedModel, device: Device, ledger: Ledger) -> StepTrace:
    """Optimizer steps as Trainer takes them."""
    recipe = spec.recipe
    network.train()
    adamw, _ = optimizer.build(spec, network)
    for group in adamw.param_groups:
        # PyTorch does all tensors at once on a GPU where it is not told otherwise.
        if device == "gpu" and not group.get("fused"):
            group["foreach"] = True
    for _ in range(STEPS):
        for _ in range(recipe.accumulation):
            inputs = _batch(spec, ledger)
            labels = inputs.pop("labels")
            with ledger.part("activations"), autocast(recipe):
                outputs = network(**inputs)
                loss = mean_loss(outputs, labels, recipe.batch_size * recipe.accumulation)
            del outputs
            with ledger.part("workspace"):
                loss.backward()
            ledger.relabel("gradients", [p.grad for p in network.parameters()])
        with ledger.part("workspace"):
            if recipe.max_gradient_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.max_gradient_norm)
            adamw.step()
        ledger.relabel("optimizer", tree_leaves([*adamw.state.values()]))
        adamw.zero_grad()
    return ledger.trace()


def evaluate(spec: SessionSpec, network: PreTrainedModel, ledger: Ledger) -> StepTrace:
    """Evaluation batches as Trainer takes them: the logits are kept, on the host."""
    network.eval()
    for _ in range(STEPS):
        inputs = _batch(spec, ledger)
        del inputs["labels"]
        with torch.no_grad(), ledger.part("activations"), autocast(spec.recipe):
            network(**inputs)
    return ledger.trace()


def one_example(recipe: Recipe) -> Examples:
    """One example of full length: what the optimizer's schedule is told of the data."""
    return Examples(
        ids=np.zeros(recipe.length, np.int32),
        offsets=np.array([0, recipe.length]),
        second_starts=np.zeros(1, np.int32),
        labels=np.zeros(1, np.int32),
        pad_id=0,
        has_token_types=False,
    )


def _batch(spec: SessionSpec, ledger: Ledger) -> dict[str, torch.Tensor]:
    size, length = spec.recipe.batch_size, spec.recipe.length
    names = ["input_ids", "attention_mask"]
    if spec.start.architecture == "bert":
        names.append("token_type_ids")
    with ledger.part("inputs"):
        batch = {name: torch.zeros(size, length, dtype=torch.int32) for name in names}
        return batch | {"labels": torch.zeros(size, dtype=torch.int32)}


def autocast(recipe: Recipe) -> torch.autocast:
    dtype = DTYPES.get(recipe.precision)
    return torch.autocast("cpu", dtype, enabled=dtype is not None)


class Ledger(TorchDispatchMode):
    """Every storage that comes out of an operation: its bytes, when it is taken, when given back,
    and what for."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes: list[int] = []
        self._taken: list[int] = []
        self._given_back: dict[int, int] = {}
        self._parts: list[Part] = []
        self._clock = 0
        self._alive: dict[int, int] = {}  # buffers by the address of their storage
        self._part: Part = "activations"

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is aten._local_scalar_dense.default:  # fake tensors hold no values to branch on
            return False if args[0].dtype == torch.bool else 1
        part = self._part
        if func is aten._to_copy.default and self._part_of(args[0]) == "weights":
            part = "weights"  # autocast's copies
        results = func(*args, **kwargs or {})
        for result in tree_leaves(results):
            if isinstance(result, torch.Tensor):
                self.note(result, part)
        return results

    def note(self, tensor: torch.Tensor, part: Part) -> None:
        """Takes a buffer for a tensor whose storage is not known yet."""
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._alive or storage.nbytes() == 0:
            return
        buffer = self._alive[address] = len(self._bytes)
        self._bytes.append(storage.nbytes())
        self._taken.append(self._clock)
        self._parts.append(part)
        self._clock += 1
        weakref.finalize(storage, self._gone, address, buffer)

    def _gone(self, address: int, buffer: int) -> None:
        self._given_back[buffer] = self._clock
        self._clock += 1
        del self._alive[address]

    def _part_of(self, tensor: torch.Tensor) -> Part | None:
        buffer = self._alive.get(tensor.untyped_storage()._cdata)
        return None if buffer is None else self._parts[buffer]

    @contextmanager
    def part(self, part: Part) -> Iterator[None]:
        """What is taken inside is taken for this."""
        before, self._part = self._part, part
        yield
        self._part = before

    def watch(self, module: torch.nn.Module) -> None:
        """What the innermost attention modules take in their forward pass is attention's."""
        inner = [type(m).__name__.endswith("Attention") for m in module.modules()]
        if not inner[0] or sum(inner) > 1:
            return
        module.register_forward_pre_hook(lambda *_: setattr(self, "_part", "attention"))
        module.register_forward_hook(lambda *_: setattr(self, "_part", "activations"))

    def relabel(self, part: Part, tensors: list[Any]) -> None:
        """What these hold turned out to be for."""
        for tensor in tensors:
            if isinstance(tensor, torch.Tensor):
                buffer = self._alive.get(tensor.untyped_storage()._cdata)
                if buffer is not None:
                    self._parts[buffer] = part

    def trace(self) -> StepTrace:
        events, given_back = self._clock, self._in_one_order()
        return StepTrace(
            bytes=np.array(self._bytes, np.int64),
            taken=np.array(self._taken, np.int64),
            given_back=np.array(
                [given_back.get(i, events) for i in range(len(self._bytes))], np.int64
            ),
            parts=tuple(self._parts),
            events=events,
        )

    def _in_one_order(self) -> dict[int, int]:
        """When each buffer is given back, those that are given back together in their own order:
        autocast drops its copies in an order that hangs on addresses."""
        ordered: dict[int, int] = {}
        run: list[int] = []
        at = {event: buffer for buffer, event in self._given_back.items()}
        for event in range(self._clock + 1):
            if event in at:
                run.append(at[event])
            elif run:
                ordered |= dict(zip(sorted(run), range(event - len(run), event), strict=True))
                run = []
        return ordered


@contextmanager
def _kernels(device: Device) -> Iterator[None]:
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
