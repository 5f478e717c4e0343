"""A `torch.nn.Module` of the user's own, called as Trainer documents it: with the inputs that its
`forward` names, and with labels if it names them; then it returns its loss first."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from torch import nn

from frameworks.contract import (
    SessionSpec,
    check_logits,
    check_parameters,
    first_batch,
    make_model,
)

# Layers with a dropout rate, and the attribute that holds it.
RATES = (
    (nn.modules.dropout._DropoutNd, "p"),
    ((nn.RNNBase, nn.MultiheadAttention), "dropout"),
)


def build(spec: SessionSpec, place: str) -> nn.Module:
    """The model that the user's function returns, on the device, under the recipe's dropout; tried with
    a few examples. Errors: ValueError for a model that cannot be trained, and whatever it raises."""
    torch.manual_seed(spec.recipe.seed)
    model = make_model(spec)
    if not isinstance(model, nn.Module):
        raise ValueError(f"it returns {type(model).__name__}, not a torch.nn.Module")
    model.to(place)
    if spec.recipe.dropout is not None:
        set_dropout(model, spec.recipe.dropout)
    try_out(model, spec, place)
    check_parameters(len(trained(model)))
    return model


def try_out(model: nn.Module, spec: SessionSpec, place: str) -> None:
    """Calls the model with a few examples as evaluation and training do, without a gradient."""
    batch = {n: torch.from_numpy(values).to(place) for n, values in first_batch(spec).items()}
    calls, training = Calls(model), model.training
    model.eval()
    with torch.no_grad():
        check_logits(getattr(calls.logits(model, batch), "shape", ()), spec)
        calls.loss(model, batch)
    model.train(training)


def set_dropout(model: nn.Module, rate: float) -> None:
    """Sets the rate of every layer that drops something; what `forward` drops by itself is not seen."""
    for layer, attribute in _dropout_layers(model).values():
        setattr(layer, attribute, rate)


def dropout_rates(model: nn.Module) -> dict[str, float]:
    """The rate of every layer that drops something."""
    found = _dropout_layers(model).items()
    return {name: float(getattr(layer, attribute)) for name, (layer, attribute) in found}


def _dropout_layers(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """By name, each with the attribute that is its rate."""
    found = {}
    for name, module in model.named_modules():
        attribute = next((a for kind, a in RATES if isinstance(module, kind)), None)
        if attribute and getattr(module, attribute):
            found[name] = module, attribute
    return found


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that are trained, and what the model keeps besides them, such as the means of a
    BatchNorm."""
    saved = model.state_dict().keys()
    kept = {n: b for n, b in model.named_buffers() if n in saved and b.is_floating_point()}
    return {n: p for n, p in model.named_parameters() if p.requires_grad} | kept


def trained(model: nn.Module) -> frozenset[str]:
    """The names of the parameters that are not frozen."""
    return frozenset(name for name, p in model.named_parameters() if p.requires_grad)


def embedding_parameters(model: nn.Module) -> int:
    """How many numbers its look-up tables have."""
    tables = {m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    return sum(table.numel() for table in tables)


class Calls:
    """What the model is given of a batch, and what it returns."""

    def __init__(self, model: nn.Module) -> None:
        """Before Trainer prepares the model: accelerate replaces its `forward`."""
        parameters = inspect.signature(model.forward).parameters
        self._names = set(parameters)
        self._takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        self._takes_labels = "labels" in parameters

    def logits(self, forward: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The logits (examples, labels), without the labels."""
        outputs = forward(**self._inputs(batch))
        if isinstance(outputs, Mapping):
            return _entry(outputs, "logits")
        return outputs[0] if isinstance(outputs, tuple | list) else outputs

    def loss(
        self, forward: nn.Module, batch: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, summed over the examples of the batch, and the logits. A model that takes labels
        returns the mean over the batch; otherwise the loss is the cross entropy."""
        labels = batch["labels"].long()
        if not self._takes_labels:
            logits = self.logits(forward, batch)
            return nn.functional.cross_entropy(logits.float(), labels, reduction="sum"), logits
        outputs = forward(**self._inputs(batch), labels=labels)
        if isinstance(outputs, Mapping):
            mean, logits = _entry(outputs, "loss"), _entry(outputs, "logits")
        elif isinstance(outputs, tuple | list) and len(outputs) > 1:
            mean, logits = outputs[:2]
        else:
            raise ValueError("its model takes labels, but does not return its loss and its logits")
        if mean.ndim:
            raise ValueError(
                f"its model returns a loss of shape {tuple(mean.shape)}, not one number"
            )
        return mean * len(labels), logits

    def _inputs(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {
            name: values
            for name, values in batch.items()
            if name != "labels" and (self._takes_all or name in self._names)
        }


def _entry(outputs: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    if outputs.get(name) is None:
        raise ValueError(f"its model returns {', '.join(outputs)}, without {name}")
    return outputs[name]
