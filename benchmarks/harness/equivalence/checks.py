"""The certificate's checks: every quantity of two traces, held against its bound.

Pure, as the certificate is that they make up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from statistics import median
from typing import Any, Literal

import numpy as np

from benchmarks.harness.equivalence.bounds import LARGE_START_LOGITS, Amounts
from benchmarks.harness.equivalence.sketch import exact
from benchmarks.harness.equivalence.trace import Tensors, Traced
from results.schema import Check

Kind = Literal["same", "absolute", "relative", "share", "some"]

# How a framework computes may differ; what it computes may not. The last four only decide when
# something is looked at.
FREE_FIELDS = {
    "attention",
    "compile",
    "gradient_checkpointing",
    "log_interval",
    "evaluation_interval",
    "keep_best",
    "epochs",
}
BATCH_EPOCHS = 2  # epochs whose batches must be the same
SMALL_NORM = 1e-3  # is added to a tensor's norm: a bias that began at 0 has next to none
PLURAL = {
    "steps",
    "batches",
    "starting weights",
    "starting logits",
    "weights",
    "final logits",
    "labels",
}
ULP = 2.0**-23  # of single precision: no update is told apart below the weight's own rounding


def make_checks(first: Traced, second: Traced, allowed: Amounts) -> Iterator[Check]:
    yield from _before(first, second, allowed)
    yield from _steps(first, second, allowed)
    yield from _after(first, second, allowed)
    yield _clipping(first, second)


def _before(first: Traced, second: Traced, allowed: Amounts) -> Iterator[Check]:
    yield same_recipe(first.recipe, second.recipe)
    yield _whole(first, second)
    yield same_batches(first, second)
    yield tensors_agree("starting weights", allowed, first.arrays.start, second.arrays.start)
    starts = (first.arrays.start_logits, second.arrays.start_logits)
    size = float(np.abs(starts[0]).max(initial=1.0))
    bound = allowed["starting logits"]
    yield _logits("starting logits", max(bound, min(LARGE_START_LOGITS, bound * size)), *starts)


def _steps(first: Traced, second: Traced, allowed: Amounts) -> Iterator[Check]:
    a, b = first.trace, second.trace
    yield _by_step("loss", allowed, "absolute", a.loss, b.loss)
    yield _by_step("gradient norm", allowed, "relative", a.gradient_norm, b.gradient_norm)
    yield _by_step("learning rate", allowed, "relative", a.learning_rate, b.learning_rate)
    check = tensors_agree(
        "first update",
        allowed,
        first.arrays.update,
        second.arrays.update,
        rounding=first.arrays.start,
    )
    yield check if check.passed else check.model_copy(update={"step": a.update_step})


def _after(first: Traced, second: Traced, allowed: Amounts) -> Iterator[Check]:
    one, other = first.arrays, second.arrays
    ends = (
        (exact(one.weights), exact(other.weights))
        if (one.weights is not None and other.weights is not None)
        else (one.end, other.end)
    )
    yield tensors_agree("weights", allowed, *ends)
    yield _logits("final logits", allowed["final logits"], one.end_logits, other.end_logits)
    yield _labels(allowed, one.end_logits, other.end_logits)


def same_recipe(one: Mapping[str, Any], other: Mapping[str, Any]) -> Check:
    # A trace that lacks a field is older than the field, and did what its default says.
    one, other = ({"optimizer": "adamw"} | dict(recipe) for recipe in (one, other))
    names = sorted((one.keys() | other.keys()) - FREE_FIELDS)
    differing = [
        f"{name}: {one.get(name)!r} against {other.get(name)!r}"
        for name in names
        if one.get(name) != other.get(name)
    ]
    return Check(
        name="recipe",
        bound=0,
        kind="same",
        worst=len(differing),
        passed=not differing,
        where="; ".join(differing) or None,
    )


def _whole(first: Traced, second: Traced) -> Check:
    """That both took the steps of their recipe, and kept every one."""
    counts = [
        (
            t,
            {
                "loss": len(t.trace.loss),
                "gradient norm": len(t.trace.gradient_norm),
                "learning rate": len(t.trace.learning_rate),
            },
        )
        for t in (first, second)
    ]
    lacking = [
        f"{t.side.backend} kept the {name} of {count} steps, asked were {t.recipe.get('steps')}"
        for t, kept in counts
        for name, count in kept.items()
        if not count == t.trace.steps == t.recipe.get("steps")
    ]
    return Check(
        name="steps",
        bound=0,
        kind="same",
        worst=len(lacking),
        passed=not lacking,
        where=lacking[0] if lacking else None,
    )


def same_batches(first: Traced, second: Traced) -> Check:
    """The batches of the first epochs, in their order."""
    ours, theirs = (
        [
            digest
            for digest, step in zip(t.batches, t.batch_steps, strict=False)
            if step <= BATCH_EPOCHS * t.steps_per_epoch
        ]
        for t in (first.trace, second.trace)
    )
    count = max(len(ours), len(theirs))
    differing = [i for i in range(count) if ours[i : i + 1] != theirs[i : i + 1]]
    if not differing and count:
        return Check(name="batches", bound=0, kind="same", worst=0, passed=True)
    if not count:
        return Check(
            name="batches",
            bound=0,
            kind="same",
            worst=None,
            passed=False,
            where="no batch was hashed",
        )
    at = differing[0]
    steps = max(first.trace.batch_steps, second.trace.batch_steps, key=len)
    return Check(
        name="batches",
        bound=0,
        kind="same",
        worst=len(differing),
        passed=False,
        step=steps[at],
        value=len(differing),
        where=f"batch {at + 1}",
    )


def _by_step(
    name: str, allowed: Amounts, kind: Kind, one: Sequence[float], other: Sequence[float]
) -> Check:
    bound, differences = allowed[name], step_differences(one, other)
    if not len(differences):
        return Check(
            name=name, bound=bound, kind=kind, worst=None, passed=False, where="no step was kept"
        )
    if kind == "relative":
        scale = np.maximum(
            np.abs(_filled(one, len(differences))), np.abs(_filled(other, len(differences)))
        )
        with np.errstate(invalid="ignore"):
            differences = np.divide(differences, scale, out=differences.copy(), where=scale > 0)
    beyond = np.flatnonzero(~(differences <= bound))
    step = int(beyond[0]) + 1 if len(beyond) else None
    return Check(
        name=name,
        bound=bound,
        kind=kind,
        worst=_number(_worst(differences)),
        passed=step is None,
        step=step,
        value=_number(differences[step - 1]) if step else None,
    )


def step_differences(one: Sequence[float], other: Sequence[float]) -> np.ndarray:
    """Absolute, by step; infinite where only one of the two has the step."""
    length = max(len(one), len(other))
    a, b = _filled(one, length), _filled(other, length)
    with np.errstate(invalid="ignore"):  # infinite minus infinite is not a number: it fails
        found: np.ndarray = np.abs(a - b)
    found[min(len(one), len(other)) :] = inf
    return found


def _filled(values: Sequence[float], length: int) -> np.ndarray:
    return np.array([*values, *[0.0] * (length - len(values))], np.float64)


def tensors_agree(
    name: str, allowed: Amounts, one: Tensors, other: Tensors, rounding: Tensors | None = None
) -> Check:
    """Norm-wise, tensor by tensor: the norm of the difference over that of the tensor; of an
    update, whose tensors may be anything small, less the `rounding` of the weights."""
    bound, absent = allowed[name], sorted(one.keys() ^ other.keys())
    if absent or not one:
        return Check(
            name=name,
            bound=bound,
            kind="relative",
            worst=None,
            passed=False,
            where=f"only one side has {absent[0]}" if absent else "no tensor was kept",
        )
    found = {}
    for tensor in sorted(one):
        a, b = one[tensor], other[tensor]
        if a.shape != b.shape:
            return Check(
                name=name,
                bound=bound,
                kind="relative",
                worst=None,
                passed=False,
                where=f"{tensor} has {a.size} numbers on one side and {b.size} on the other",
            )
        difference = float(np.linalg.norm(a - b))
        size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
        if rounding is None:
            found[tensor] = difference / (size + SMALL_NORM)
        else:
            spare = max(0.0, difference - ULP * float(np.linalg.norm(rounding[tensor])))
            found[tensor] = spare / size if size else (inf if spare else 0.0)
    worst = max(found, key=lambda tensor: -1 if math.isnan(found[tensor]) else found[tensor])
    worst = next((tensor for tensor in found if math.isnan(found[tensor])), worst)
    beyond = [tensor for tensor in found if not found[tensor] <= bound]
    others = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
    return Check(
        name=name,
        bound=bound,
        kind="relative",
        worst=_number(found[worst]),
        passed=not beyond,
        value=_number(found[worst]) if beyond else None,
        where=f"{worst}{others}" if beyond else worst,
    )


def _logits(name: str, bound: float, one: np.ndarray, other: np.ndarray) -> Check:
    """Absolute, over all evaluation examples."""
    if one.shape != other.shape or not one.size:
        return Check(
            name=name,
            bound=bound,
            kind="absolute",
            worst=None,
            passed=False,
            where=f"{one.shape} logits on one side, {other.shape} on the other",
        )
    with np.errstate(invalid="ignore"):
        differences = np.abs(one.astype(np.float64) - other).max(axis=1)
    beyond = np.flatnonzero(~(differences <= bound))
    return Check(
        name=name,
        bound=bound,
        kind="absolute",
        worst=_number(_worst(differences)),
        passed=not len(beyond),
        value=_number(differences[beyond[0]]) if len(beyond) else None,
        where=f"evaluation example {beyond[0] + 1}" if len(beyond) else None,
    )


def _labels(allowed: Amounts, one: np.ndarray, other: np.ndarray) -> Check:
    """The share of evaluation examples with the same predicted label."""
    bound = allowed["labels"]
    if one.shape != other.shape or not one.size:
        return Check(
            name="labels",
            bound=bound,
            kind="share",
            worst=None,
            passed=False,
            where="not the same examples, or none",
        )
    same = one.argmax(axis=1) == other.argmax(axis=1)
    share = float(same.mean())
    return Check(
        name="labels",
        bound=bound,
        kind="share",
        worst=share,
        passed=share >= bound,
        where=None if share >= bound else f"evaluation example {int(np.flatnonzero(~same)[0]) + 1}",
    )


def clipped(traced: Traced) -> int:
    """Steps whose gradient was clipped."""
    limit = traced.recipe.get("max_gradient_norm") or inf
    return sum(norm > limit for norm in traced.trace.gradient_norm)


def _clipping(first: Traced, second: Traced) -> Check:
    """That both clipped some steps and left others alone: where none is clipped, or every one, a
    clipping that is wrong or missing would change nothing."""
    counts = [(clipped(t), len(t.trace.gradient_norm), t) for t in (first, second)]
    count, steps, odd = next((c for c in counts if not 0 < c[0] < c[1]), counts[0])
    passed = 0 < count < steps
    where = None
    if not passed:
        limit, norms = odd.recipe.get("max_gradient_norm"), odd.trace.gradient_norm or [0.0]
        where = (
            f"{'every' if count else 'no'} step of {odd.side.backend} was clipped at "
            f"max_gradient_norm {limit}: {'raise' if count else 'lower'} it in the profile's "
            f"[equivalence], such as to the median norm, {median(norms):.2g}"
        )
    return Check(
        name="clipping",
        bound=0,
        kind="some",
        worst=count / max(1, steps),
        passed=passed,
        where=where,
    )


def _worst(values: np.ndarray) -> float:
    """The largest; not a number where one of them is none."""
    return float(values.max())


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def described(check: Check) -> str:
    """What differs, from which step on, by how much against which bound."""
    at = f" from step {check.step} on" if check.step else ""
    if check.kind == "some":
        return check.where or f"{check.name} was at work in {check.worst} of the steps"
    where = f" ({check.where})" if check.where else ""
    differs = "differ" if check.name in PLURAL else "differs"
    if check.kind == "same":
        return f"{check.name} {differs}{at}{where}"
    amount = "not a number" if check.worst is None else f"{check.worst:.2g}"
    if check.kind == "share":
        return f"{check.name} agree on {amount}, {check.bound:g} is asked{where}"
    value = check.worst if check.value is None else check.value
    amount = "beyond comparison" if value is None else f"by {value:.2g}"
    return f"{check.name} {differs}{at} {amount}, bound {check.bound:.0e} {check.kind}{where}"
