"""Compares the recipe with what the framework runs, field by field, and the job's device with the one
that it computes on. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from math import inf, isclose

from frameworks.contract import (
    BatchShape,
    Effective,
    Feed,
    FoundDevice,
    InForce,
    OptimizerGroup,
    Recipe,
    SessionSpec,
    few_examples,
    learning_rate,
    padded_width,
    takes_decay,
)
from results.schema import Device

SAME = 1e-5  # relative: frameworks keep hyperparameters in single precision
# CUDA shows a process up to some percent less than NVML's total.
MEMORY_TOLERANCE = 0.10
OVERRIDDEN = "remove the setting that overrides it"


def differences(spec: SessionSpec, found: Effective, steps: int) -> list[str]:
    """What differs after `steps` optimizer steps, one line each: the field, both values, the fix.
    After none only the precision can be compared."""
    recipe = spec.recipe
    lines = [*_precision(recipe, found)]
    if not steps:
        return lines
    lines += _computation(recipe, found)
    lines += _threads(spec, found)
    if found.in_force is not None:
        lines += _optimizer(spec, found.in_force, steps)
        lines += _dropout(recipe, found.in_force)
        lines += _batches(spec, found.in_force.batches, steps)
    return list(dict.fromkeys(lines))  # groups of parameters differ in the same way


def _line(field: str, asked: object, found: str, fix: str = f"; {OVERRIDDEN}") -> str:
    return f"recipe asks for {field} = {json.dumps(asked)}, but {found}{fix}"


def _precision(recipe: Recipe, found: Effective) -> Iterator[str]:
    if found.precision != recipe.precision:
        yield _line("precision", recipe.precision, f"the framework computes in {found.precision!r}")


def _computation(recipe: Recipe, found: Effective) -> Iterator[str]:
    if recipe.compile and not found.compiled:
        reason = found.in_force.not_compiled if found.in_force else None
        reason = reason or "the framework compiled nothing; read its log"
        yield _line("compile", True, reason, " or set compile = false")
    if found.compiled and not recipe.compile:
        yield _line("compile", False, "the framework compiled the training step")
    if found.gradient_checkpointing != recipe.gradient_checkpointing:
        state = "recomputes" if found.gradient_checkpointing else "keeps"
        yield _line(
            "gradient_checkpointing",
            recipe.gradient_checkpointing,
            f"the model {state} activations",
        )
    seen = found.in_force.attention if found.in_force else None
    if recipe.attention is not None and seen not in (None, recipe.attention):
        yield _line("attention", recipe.attention, f"the model ran {seen!r}")
    taken = found.in_force.loss_input if found.in_force else None
    if taken not in (None, "probabilities" if recipe.mistake else "logits"):
        yield _line("mistake", recipe.mistake, f"the loss takes {taken}")


def _threads(spec: SessionSpec, found: Effective) -> Iterator[str]:
    if spec.threads and found.threads and found.threads != spec.threads:
        yield (
            f"the job asks for threads = {spec.threads}, but the framework computes with "
            f"{found.threads}; {OVERRIDDEN}"
        )


def _optimizer(spec: SessionSpec, found: InForce, steps: int) -> Iterator[str]:
    recipe = spec.recipe
    if found.optimizer != recipe.optimizer:
        yield _line("optimizer", recipe.optimizer, f"the training runs {found.optimizer}")
        return
    yield from _parameters(found)
    for group in found.groups:
        yield from _hyperparameters(spec, group, steps)
    limit = 0.0 if found.max_gradient_norm == inf else found.max_gradient_norm
    if not isclose(limit, recipe.max_gradient_norm, rel_tol=SAME):
        yield _line(
            "max_gradient_norm", recipe.max_gradient_norm, f"gradients are clipped at {limit:g}"
        )


def _parameters(found: InForce) -> Iterator[str]:
    """Every weight is trained, once, and kept in single precision."""
    counts = Counter(name for group in found.groups for name in group.parameters)
    problems = {
        "not in the optimizer": found.parameters - counts.keys(),
        "in the optimizer but not in the model": counts.keys() - found.parameters,
        "in the optimizer more than once": {name for name, count in counts.items() if count > 1},
        "frozen": found.frozen,
    }
    for problem, names in problems.items():
        if names:
            yield f"a recipe trains all weights, but {_some(names)} {problem}; {OVERRIDDEN}"
    if found.weight_types != {"float32"}:
        kinds = ", ".join(sorted(found.weight_types))
        yield f"a recipe keeps the weights in float32, but they are in {kinds}; {OVERRIDDEN}"


def _hyperparameters(spec: SessionSpec, group: OptimizerGroup, steps: int) -> Iterator[str]:
    recipe, names = spec.recipe, group.parameters
    for decays, asked in ((True, recipe.weight_decay), (False, 0.0)):
        chosen = [name for name in names if takes_decay(name) is decays]
        if chosen and not isclose(group.weight_decay, asked, rel_tol=SAME):
            kind = "" if decays else " on biases and LayerNorm"
            verb = f"{_some(chosen)} decayed by {group.weight_decay:g}"
            yield _line(f"weight_decay{kind}", asked, verb)
    for field in ("beta1", "beta2", "epsilon"):
        value, asked = getattr(group, field), getattr(recipe, field)
        if value is not None and not isclose(value, asked, rel_tol=SAME):
            yield _line(field, asked, f"the optimizer has {value:g}")
    total = spec.feed.total_steps
    if steps >= total:
        return  # there is no next step
    # Under fp16 a step that overflows is skipped, and the schedule with it.
    allowed = range(steps + 1) if recipe.precision == "fp16" else [steps]
    rates = [learning_rate(recipe, step, total) for step in allowed]
    if not any(isclose(group.learning_rate, rate, rel_tol=SAME, abs_tol=1e-12) for rate in rates):
        yield _line(
            "learning_rate",
            recipe.learning_rate,
            f"step {steps + 1} has {group.learning_rate:.6g}, its schedule says {rates[-1]:.6g}",
        )


def _dropout(recipe: Recipe, found: InForce) -> Iterator[str]:
    own = recipe.dropout is None
    allowed = found.checkpoint_dropout if recipe.dropout is None else {recipe.dropout}
    for layer, rate in found.dropout.items():
        if not any(isclose(rate, one, abs_tol=1e-9) for one in allowed):
            rates = ", ".join(f"{one:g}" for one in sorted(allowed))
            asked = f"the checkpoint's rates {rates}" if own else recipe.dropout
            yield _line("dropout", asked, f"the rate of layer {layer} is {rate:g}")
            return


def _batches(spec: SessionSpec, found: tuple[BatchShape, ...], steps: int) -> Iterator[str]:
    recipe, feed = spec.recipe, spec.feed
    too_few = few_examples(recipe, len(spec.train))
    if too_few:
        yield too_few
        return
    expected = list(islice(shapes(feed), feed.batches_of(steps)))
    if len(found) != len(expected):
        taken = f"{len(found)} batches were trained on in {steps} steps, not {len(expected)}"
        yield _line("accumulation", recipe.accumulation, taken)
    for batch, (shape, wanted) in enumerate(zip(found, expected, strict=False), 1):
        if shape[0] != wanted[0]:
            had = f"batch {batch} had {shape[0]} rows, not {wanted[0]}"
            yield _line("batch_size", recipe.batch_size, had)
            return
        if shape[1] != wanted[1]:
            had = f"batch {batch} was padded to {shape[1]} tokens, not {wanted[1]}"
            yield _line("padding", recipe.padding, had)
            return


def shapes(feed: Feed) -> Iterator[BatchShape]:
    """The shape of every batch, epoch after epoch."""
    epoch, lengths = 0, feed.examples.lengths
    while True:
        for indices in feed.batch_indices(epoch):
            yield len(indices), padded_width(int(lengths[indices].max()), feed.recipe)
        epoch += 1


def _some(names: Collection[str]) -> str:
    """'classifier.bias is', 'classifier.bias and 3 more are'."""
    first, more = min(names), len(names) - 1
    return f"{first} and {more} more are" if more else f"{first} is"


class WrongDevice(Exception):
    """The framework would compute on another device than the job's."""


def check_device(wanted: Device, found: FoundDevice) -> None:
    """Errors: WrongDevice where the two differ, with what to do about it."""
    if problem := device_difference(wanted, found):
        raise WrongDevice(problem)


def device_difference(wanted: Device, found: FoundDevice) -> str | None:
    """How the device that a framework found differs from the job's, in one line; None if it does
    not."""
    if wanted.kind != found.kind:
        driver = f" (driver {wanted.driver})" if wanted.driver else ""
        here = (
            f"this job runs on {wanted.name}{driver}, but the framework found only a {found.name}"
        )
        return f"{here}. {found.advice}" if found.advice else here
    if wanted.kind == "cpu":
        return None
    if found.count != 1:
        return (
            f"this job runs on one GPU, but the framework would use {found.count}: "
            "let CUDA_VISIBLE_DEVICES name one"
        )
    names = [
        name.removeprefix("NVIDIA ").removeprefix("Tesla ") for name in (wanted.name, found.name)
    ]
    if not names[0].startswith(names[1]):  # of a part, the framework may name the whole
        return f"this job runs on {wanted.name}, but the framework found {found.name}"
    if found.memory_bytes is None:
        return None
    off = abs(found.memory_bytes - wanted.memory_bytes) / wanted.memory_bytes
    if off > MEMORY_TOLERANCE:
        sizes = [f"{size / 2**30:.1f} GiB" for size in (wanted.memory_bytes, found.memory_bytes)]
        return (
            f"{wanted.name} has {sizes[0]}, but the framework found {sizes[1]}: a part of it may be "
            "visible only; let CUDA_VISIBLE_DEVICES name that part by its UUID"
        )
    return None
