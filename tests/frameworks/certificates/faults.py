"""Deliberate faults, each put into a backend at one of its seams, with the check that has to fail
first and its step."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Callable
from math import sqrt
from pathlib import Path

import numpy as np
import safetensors.numpy

from frameworks import contract
from frameworks.contract import Examples, Precision, Session, SessionSpec, Start
from tests.frameworks.conftest import make_spec

# Two epochs of six steps, each with a last batch of 2 examples after one of 4; clipping is at
# work in a part of the steps.
FIELDS: dict[str, object] = {
    "steps": 12,
    "accumulation": 2,
    "learning_rate": 3e-4,
    "weight_decay": 0.1,
    "warmup_share": 0.25,
    "padding": "longest",
    "max_gradient_norm": 0.5,
}


EXAMPLES = 46


def curved(start: Start, folder: Path) -> Start:
    """A start whose activations are as large as a real model's, where gelu is curved."""
    shutil.copytree(start.folder, folder)
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    for name in weights:
        if name.endswith("intermediate.dense.weight"):
            weights[name] = weights[name] * 6
    safetensors.numpy.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return dataclasses.replace(start, folder=folder)


def faulty_spec(start: Start, precision: Precision) -> SessionSpec:
    """The work that the faults are put into."""
    return make_spec(start, EXAMPLES, hash_batches=True, precision=precision, **FIELDS)


def epsilon_unscaled(session: Session) -> None:
    """Keras's form: epsilon meets sqrt(v) before the bias correction."""
    steps = itertools.count(1)

    def unscale(optimizer, *_):
        step = next(steps)
        for group in optimizer.param_groups:
            group["eps"] = session.spec.recipe.epsilon / sqrt(1 - 0.999**step)

    session.optimizer.register_step_pre_hook(unscale)


def epsilon_of_keras(session: Session) -> None:
    for group in session.optimizer.param_groups:
        group["eps"] = 1e-7


def clipping_by_variable(session: Session) -> None:
    import torch

    def clip(parameters, limit):
        parameters = list(parameters)
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        for parameter in parameters:
            torch.nn.utils.clip_grad_norm_([parameter], limit)
        return norm

    session.trainer._clip = clip


def decay_everywhere(session: Session) -> None:
    for group in session.optimizer.param_groups:
        group["weight_decay"] = session.spec.recipe.weight_decay


def decay_in_the_gradient(session: Session) -> None:
    """L2 regularisation, which Adam scales like any gradient."""
    import torch

    decayed = session.optimizer.param_groups[0]
    decayed["weight_decay"] = 0.0

    @torch.no_grad()
    def add(*_):
        for parameter in decayed["params"]:
            if parameter.grad is not None:
                parameter.grad.add_(parameter, alpha=session.spec.recipe.weight_decay)

    session.optimizer.register_step_pre_hook(add)


def before_forward(session: Session, change: Callable[[dict], None]) -> None:
    def hook(module, arguments, inputs):
        inputs = dict(inputs)
        change(inputs)
        return arguments, inputs

    session.model.register_forward_pre_hook(hook, with_kwargs=True)


def token_types_dropped(session: Session) -> None:
    before_forward(session, lambda inputs: inputs.pop("token_type_ids"))


def mask_ignored(session: Session) -> None:
    before_forward(session, lambda inputs: inputs.pop("attention_mask"))


def dropout_left_on(session: Session) -> None:
    import torch

    for module in session.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1


def another_head(session: Session) -> None:
    import torch

    with torch.no_grad():
        session.model.classifier.weight.normal_(std=0.02, generator=torch.Generator())


def gelu_by_tanh(session: Session) -> None:
    import torch

    for layer in session.model.bert.encoder.layer:
        layer.intermediate.intermediate_act_fn = torch.nn.GELU(approximate="tanh")


IN_SESSION = [
    ("epsilon not scaled", epsilon_unscaled, "first update", 2),
    ("epsilon 1e-7, Keras's default", epsilon_of_keras, "first update", 2),
    ("clipping by variable, not global", clipping_by_variable, "first update", 2),
    ("decay on biases and LayerNorm too", decay_everywhere, "first update", 2),
    ("L2 in the gradient, not decoupled decay", decay_in_the_gradient, "first update", 2),
    ("token types dropped by the model", token_types_dropped, "starting logits", None),
    ("mask ignored", mask_ignored, "starting logits", None),
    ("dropout left on", dropout_left_on, "loss", 1),
    ("another seed for the head", another_head, "starting weights", None),
    ("gelu approximated by tanh", gelu_by_tanh, "starting logits", None),
]


def from_logits_wrong(monkeypatch):
    """The loss takes probabilities for logits."""
    of_loss(
        monkeypatch,
        lambda torch, logits, labels, count: (
            torch.nn.functional.cross_entropy(logits.softmax(-1), labels, reduction="sum") / count
        ),
    )


def loss_summed(monkeypatch):
    of_loss(
        monkeypatch,
        lambda torch, logits, labels, count: torch.nn.functional.cross_entropy(
            logits, labels, reduction="sum"
        ),
    )


def partial_batch_weighted(monkeypatch):
    """The mean of the batches' means: an example in a small batch counts more."""
    of_loss(
        monkeypatch,
        lambda torch, logits, labels, count: torch.nn.functional.cross_entropy(logits, labels) / 2,
    )


def accumulation_not_averaged(monkeypatch):
    """The gradients of a step's batches are added up; the loss that is shown is right."""

    def loss(torch, logits, labels, count):
        mean = torch.nn.functional.cross_entropy(logits, labels, reduction="sum") / count
        return 2 * mean - mean.detach()

    of_loss(monkeypatch, loss)


def labels_shifted(monkeypatch):
    of_loss(
        monkeypatch,
        lambda torch, logits, labels, count: (
            torch.nn.functional.cross_entropy(logits, (labels + 1) % 3, reduction="sum") / count
        ),
    )


def of_loss(monkeypatch, loss):
    import torch

    from frameworks.hf_torch import train

    monkeypatch.setattr(
        train,
        "mean_loss",
        lambda outputs, labels, num_items_in_batch=None: loss(
            torch, outputs["logits"], labels.long(), num_items_in_batch or len(labels)
        ),
    )


def warmup_one_step_early(monkeypatch):
    of_rate(
        monkeypatch, lambda recipe, step, total: contract.learning_rate(recipe, step + 1, total)
    )


def no_decay_of_the_rate(monkeypatch):
    of_rate(
        monkeypatch,
        lambda recipe, step, total: contract.learning_rate(
            recipe.model_copy(update={"schedule": "constant"}), step, total
        ),
    )


def of_rate(monkeypatch, rate):
    from frameworks.hf_torch import optimizer

    monkeypatch.setattr(optimizer, "learning_rate", rate)


def order_not_shared(monkeypatch):
    from frameworks.hf_torch import data

    own = np.random.default_rng(0)
    monkeypatch.setattr(
        data.FeedOrder, "__iter__", lambda self: iter(own.permutation(len(self)).tolist())
    )


def padded_on_the_left(monkeypatch):
    collate = Examples.collate

    def turned(self, indices, recipe):
        batch = collate(self, indices, recipe)
        for row, length in enumerate(batch["attention_mask"].sum(axis=1)):
            for name in set(batch) - {"labels"}:
                batch[name][row] = np.roll(batch[name][row], -length)
        return batch

    monkeypatch.setattr(Examples, "collate", turned)


IN_MODULES = [
    ("warm-up off by one step", warmup_one_step_early, "learning rate", 1),
    ("schedule without decay", no_decay_of_the_rate, "learning rate", 5),
    ("loss takes probabilities for logits", from_logits_wrong, "loss", 1),
    ("loss summed, not averaged", loss_summed, "loss", 1),
    ("last partial batch weighted differently", partial_batch_weighted, "loss", 6),
    ("accumulation not averaged", accumulation_not_averaged, "gradient norm", 1),
    ("labels shifted by one class, in the loss", labels_shifted, "loss", 1),
    ("order not shared", order_not_shared, "batches", 1),
    ("padding on the left", padded_on_the_left, "batches", 1),
]


def premise_only(examples: Examples) -> Examples:
    rows = [
        examples.ids[a : a + n]
        for a, n in zip(examples.offsets, examples.second_starts, strict=False)
    ]
    return dataclasses.replace(
        examples, ids=np.concatenate(rows), offsets=np.cumsum([0, *map(len, rows)])
    )


def types_not_given(examples: Examples) -> Examples:
    return dataclasses.replace(examples, has_token_types=False)


def labels_moved(examples: Examples) -> Examples:
    return dataclasses.replace(examples, labels=(examples.labels + 1) % 3)
