"""The classifier: a transformers model on PyTorch, from the folder that all backends start at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from frameworks.contract import DROPOUT_FIELDS, Device, SessionSpec


def device() -> Device:
    return "gpu" if torch.cuda.is_available() else "cpu"


def build(spec: SessionSpec) -> PreTrainedModel:
    """The model with the starting weights, on its device.

    Raises `ValueError` where the folder has not all weights that the model needs.
    """
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
    return model.to("cuda" if device() == "gpu" else "cpu")


def checkpoint_activations(model: PreTrainedModel, *, same_dropout: bool = True) -> None:
    """Of every layer only the input is kept; the backward pass computes the rest again, with the
    same dropout unless nothing is computed at all. Not the reentrant variant, which PyTorch advises
    against."""
    settings = {"use_reentrant": False, "preserve_rng_state": same_dropout}
    if hasattr(model, "activation_checkpointing_enable"):  # its name since transformers 5
        model.activation_checkpointing_enable(settings)
    else:
        model.gradient_checkpointing_enable(settings)


def checkpoints_activations(model: PreTrainedModel) -> bool:
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def configuration(spec: SessionSpec) -> AutoConfig:
    """The folder's config under the recipe's dropout."""
    config = AutoConfig.from_pretrained(
        spec.start.folder, local_files_only=True, trust_remote_code=False
    )
    config.pad_token_id = spec.train.pad_id
    config.use_cache = False
    if spec.recipe.dropout is not None:
        config.update(dict.fromkeys(DROPOUT_FIELDS[spec.start.architecture], spec.recipe.dropout))
    return config


def weights(model: PreTrainedModel) -> dict[str, np.ndarray]:
    """A copy of all trainable weights, float32, by PyTorch's names."""
    return {
        name: parameter.detach().float().cpu().numpy().copy()
        for name, parameter in model.named_parameters()
    }


def load_weights(model: PreTrainedModel, saved: Mapping[str, np.ndarray]) -> None:
    """Restores what `weights` returned; `KeyError` names a missing weight."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(np.array(saved[name])))
