"""The classifier: a transformers model on PyTorch, from the folder that all backends start at."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from frameworks.contract import DROPOUT_FIELDS, Recipe, SessionSpec
from frameworks.hf_torch import device, own_model


def build(spec: SessionSpec) -> nn.Module:
    """The model with the starting weights, or the user's, on its device.

    Raises `ValueError` where the folder has not all weights that the model needs, and for a user's model
    that cannot be trained.
    """
    if spec.own_model is not None:
        return own_model.build(spec, device.place())
    model, report = AutoModelForSequenceClassification.from_pretrained(
        spec.start.folder,
        config=configuration(spec),
        torch_dtype=torch.float32,
        attn_implementation=spec.recipe.attention,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    if report["missing_keys"]:
        raise ValueError(
            f"{spec.start.folder} has no weights named {sorted(report['missing_keys'])}"
        )
    if spec.recipe.gradient_checkpointing:
        checkpoint_activations(model)
    return model.to(device.place())


def checkpoint_activations(model: PreTrainedModel, *, same_dropout: bool = True) -> None:
    """Of every layer only the input is kept; the backward pass computes the rest again, with the
    same dropout unless nothing is computed at all. Not the reentrant variant, which PyTorch advises
    against."""
    settings = {"use_reentrant": False, "preserve_rng_state": same_dropout}
    if hasattr(model, "activation_checkpointing_enable"):  # its name since transformers 5
        model.activation_checkpointing_enable(settings)
    else:
        model.gradient_checkpointing_enable(settings)


def checkpoints_activations(model: nn.Module) -> bool:
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def attention_of(logits: torch.Tensor) -> str | None:
    """The attention that computed the logits, by the kernels in their autograd graph: 'sdpa' is one
    operation or a softmax of its own, 'eager' a plain softmax. None for a compiled model, whose
    graph is a single node."""
    seen, waiting = set(), [logits.grad_fn]
    names = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        names.add(node.name())
        waiting += [following for following, _ in node.next_functions]
    if any("ScaledDotProduct" in name or "SafeSoftmax" in name for name in names):
        return "sdpa"
    return "eager" if any(name.startswith("SoftmaxBackward") for name in names) else None


def asked_attention(model: nn.Module) -> str:
    """The attention that its config names; of a model without a config it is not known."""
    return getattr(getattr(model, "config", None), "_attn_implementation", None) or "unknown"


def dropout_rates(model: nn.Module) -> dict[str, float]:
    """The dropout rate of every layer that has one."""
    return {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}


def checkpoint_dropout(spec: SessionSpec) -> frozenset[float]:
    """The rates of the checkpoint's config."""
    config = AutoConfig.from_pretrained(
        spec.start.folder, local_files_only=True, trust_remote_code=False
    )
    rates = [getattr(config, name, None) for name in DROPOUT_FIELDS[spec.start.architecture]]
    return frozenset(rate for rate in rates if rate is not None)


def compiled_graphs() -> int:
    """How many graphs torch.compile has compiled in this process."""
    return dynamo_counters("stats").get("unique_graphs", 0)


def reached_recompile_limit() -> bool:
    """Whether torch.compile has stopped to compile for further shapes."""
    reasons = [*dynamo_counters("unimplemented"), *dynamo_counters("graph_break")]
    return any("recompile limit" in reason for reason in reasons)


def hides_errors() -> bool:
    """Whether torch.compile left frames uncompiled and says nothing: it would raise their errors, but
    for a setting."""
    frames = dynamo_counters("frames")
    failed = frames.get("total", 0) > frames.get("ok", 0)
    return failed and torch._dynamo.config.suppress_errors


def dynamo_counters(kind: str) -> dict[str, int]:
    """Counters of torch.compile. It is not imported for them: that takes memory and a second."""
    utils = sys.modules.get("torch._dynamo.utils")
    return utils.counters[kind] if utils else {}


def not_compiled() -> str:
    """What torch.compile left uncompiled, why, and what to do about it."""
    if reached_recompile_limit():
        return (
            "torch.compile reached its recompile limit, so that further shapes ran uncompiled; set "
            "padding = 'max'"
        )
    what = "some frames were not compiled" if hides_errors() else "no frame was compiled"
    return f"{what}: {_why_nothing()}"


def _why_nothing() -> str:
    for variable in ("TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE"):
        if os.environ.get(variable) == "1":
            return f"{variable} switches torch.compile off; unset it"
    if torch._dynamo.config.disable:
        return "torch._dynamo.config.disable switches torch.compile off; remove it"
    if device.kind() == "cpu":
        from torch._inductor import cpp_builder, exc

        try:
            cpp_builder.get_cpp_compiler()
        except exc.InvalidCxxCompiler:
            return "no C++ compiler found; install g++"
    if torch._dynamo.config.suppress_errors:
        return "TORCHDYNAMO_SUPPRESS_ERRORS hides the error of torch.compile; unset it"
    return "torch.compile left the model as it is, without an error; read TORCH_LOGS=dynamo"


def configuration(spec: SessionSpec) -> AutoConfig:
    """The folder's config under the recipe's dropout."""
    config = AutoConfig.from_pretrained(
        spec.start.folder, local_files_only=True, trust_remote_code=False
    )
    config.pad_token_id = spec.train.pad_id
    config.use_cache = False
    config.gradient_checkpointing = False  # older checkpoints switch it on here
    if spec.recipe.dropout is not None:
        config.update(dict.fromkeys(DROPOUT_FIELDS[spec.start.architecture], spec.recipe.dropout))
    return config


def weights(model: nn.Module) -> dict[str, np.ndarray]:
    """A copy of all weights, float32, by PyTorch's names."""
    return {
        name: tensor.detach().float().cpu().numpy().copy()
        for name, tensor in own_model.weights(model).items()
    }


def load_weights(model: nn.Module, saved: Mapping[str, np.ndarray]) -> None:
    """Restores what `weights` returned; `KeyError` names a missing weight."""
    with torch.no_grad():
        for name, tensor in own_model.weights(model).items():
            tensor.copy_(torch.from_numpy(np.array(saved[name])))


def loss_inputs(logits: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """What the loss takes for logits: the probabilities, where the recipe makes that mistake."""
    return torch.softmax(logits, -1) if recipe.mistake == "softmax_before_loss" else logits
