"""The buffers of a training step, without computing it.

The real model, loss, backward pass, clipping and optimizer run on fake tensors: they have shapes,
types and storages, and no data. A `Ledger` notes every storage as it is allocated and freed; for a
GPU, CUDA's kernels take the place of a CPU's (`cuda_kernels`).

Sources: PyTorch's documentation of FakeTensor and of `torch.utils._python_dispatch`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from frameworks.contract import (
    Device,
    Examples,
    Phase,
    Recipe,
    SessionSpec,
    Start,
    StepTrace,
    Unsupported,
)
from frameworks.hf_torch import NAME, model, optimizer
from frameworks.hf_torch.memory.cuda_kernels import kernels_of
from frameworks.hf_torch.memory.ledger import Ledger
from frameworks.hf_torch.precision import DTYPES
from frameworks.hf_torch.train import loss_of

STEPS = 3  # as many as a probe takes; from the second on the optimizer has its state


def step_trace(
    recipe: Recipe, start: Start, batch_size: int, device: Device, phase: Phase = "training"
) -> StepTrace:
    """The buffers of three optimizer steps (or evaluation batches) of full-length examples, as the
    device's kernels and types would take them. `start` needs no weights, only its config.json.

    Raises `Unsupported` for what cannot be followed."""
    if recipe.compile:
        reason = "predictions cover eager kernels only, not buffers that the compiler plans"
        raise Unsupported(NAME, "compile", True, reason)
    if recipe.optimizer == "adamw_8bit":
        reason = "its library needs memory addresses, which a traced step does not have"
        raise Unsupported(NAME, "optimizer", "adamw_8bit", reason)
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
    """Records a model's weights and the buffers of the steps; nothing is computed."""
    ledger = Ledger()
    with FakeTensorMode(allow_non_fake_inputs=True), _uncollected():
        network = build()
        with ledger, kernels_of(device):
            for weight in (*network.parameters(), *network.buffers()):
                ledger.note(weight, "weights")
            for module in network.modules():
                ledger.watch(module)
            return steps(network, ledger)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Turns off Python's garbage collector, which would run at a moment that depends on everything
    that the process has done before."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def build(spec: SessionSpec) -> PreTrainedModel:
    """The model of the start's config, with weights without data."""
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
        # PyTorch does all tensors at once on a GPU by default.
        if device == "gpu" and not group.get("fused"):
            group["foreach"] = True
    for _ in range(STEPS):
        for _ in range(recipe.accumulation):
            inputs = _batch(spec, ledger)
            labels = inputs.pop("labels")
            with ledger.part("activations"), autocast(recipe):
                outputs = network(**inputs)
                loss = loss_of(recipe)(outputs, labels, recipe.batch_size * recipe.accumulation)
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
    """One example of full length: the optimizer's schedule needs to know the data's size."""
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
