"""Training steps of other benchmarks, which have published what theirs hold. No run trains by them:
they are traced so that predictions can be compared with those figures. Each uses memory as its
source does, and does nothing else.
"""

from __future__ import annotations

import torch
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedModel

from frameworks.contract import Device, Recipe, SessionSpec, Start, StepTrace
from frameworks.hf_torch import model
from frameworks.hf_torch.memory.ledger import Ledger
from frameworks.hf_torch.step_trace import STEPS, autocast, followed, one_example


def step_trace(
    name: str, recipe: Recipe, start: Start, batch_size: int, device: Device
) -> StepTrace:
    """The buffers of a few of the named steps, as `step_trace.step_trace` records our own.

    Raises `KeyError` for an unknown name."""
    head, dtype, step = PUBLISHED[name]
    spec = SessionSpec(
        recipe.model_copy(update={"batch_size": batch_size}), start, one_example(recipe)
    )

    def build() -> PreTrainedModel:
        return head.from_config(
            model.configuration(spec), torch_dtype=dtype, attn_implementation=recipe.attention
        )

    return followed(build, lambda network, ledger: step(spec, network, ledger), device)


def masked_language_model(spec: SessionSpec, network: PreTrainedModel, ledger: Ledger) -> StepTrace:
    """milabench's (benchmarks/huggingface): Adam, every token predicted, gradients never
    freed, the outputs kept through the backward pass."""
    network.train()
    adam = torch.optim.Adam(network.parameters(), foreach=True)  # as PyTorch does on a GPU
    for _ in range(STEPS):
        with ledger.part("inputs"):
            ids, labels = _tokens(spec), _tokens(spec)
        with ledger.part("activations"), autocast(spec.recipe):
            outputs = network(input_ids=ids, labels=labels)
        with ledger.part("workspace"):
            outputs.loss.backward()
        ledger.relabel("gradients", [p.grad for p in network.parameters()])
        with ledger.part("workspace"):
            adam.step()
        ledger.relabel("optimizer", tree_leaves([*adam.state.values()]))
        del outputs
    return ledger.trace()


def summed_logits(spec: SessionSpec, network: PreTrainedModel, ledger: Ledger) -> StepTrace:
    """Of the benchmark behind transformers' tables of eager and sdpa attention: weights in half
    precision, the sum of a language model's logits for a loss, and no optimizer."""
    network.train()
    with ledger.part("inputs"):
        ids, mask = _tokens(spec), _tokens(spec)
    for _ in range(STEPS):
        network.zero_grad()
        with ledger.part("activations"):
            outputs = network(input_ids=ids, attention_mask=mask)
            loss = outputs.logits.sum()
        with ledger.part("workspace"):
            loss.backward()
        ledger.relabel("gradients", [p.grad for p in network.parameters()])
    return ledger.trace()


def _tokens(spec: SessionSpec) -> torch.Tensor:
    return torch.ones(spec.recipe.batch_size, spec.recipe.length, dtype=torch.int64)


PUBLISHED = {
    "masked language model": (AutoModelForMaskedLM, torch.float32, masked_language_model),
    "summed logits": (AutoModelForCausalLM, torch.float16, summed_logits),
}
