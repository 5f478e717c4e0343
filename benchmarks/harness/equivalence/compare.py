"""Compares one quantity of two traces with its bound: by step, by tensor or by example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import inf
from typing import Literal

import numpy as np

from benchmarks.harness.equivalence.bounds import Amounts
from benchmarks.harness.equivalence.trace import Tensors
from results.schema import Check

Kind = Literal["same", "absolute", "relative", "share", "some"]

SMALL_NORM = 1e-3  # added to a tensor's norm, because a bias that began at 0 has almost none
ULP = 2.0**-23  # of single precision: an update smaller than the weight's rounding is not visible


def compare_steps(
    name: str, allowed: Amounts, kind: Kind, one: Sequence[float], other: Sequence[float]
) -> Check:
    bound, differences = allowed[name], step_differences(one, other)
    if not len(differences):
        return Check(
            name=name,
            bound=bound,
            kind=kind,
            worst=None,
            passed=False,
            where="no step was recorded",
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
    """Absolute differences by step; infinite where only one side has the step."""
    length = max(len(one), len(other))
    a, b = _filled(one, length), _filled(other, length)
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, which fails
        found: np.ndarray = np.abs(a - b)
    found[min(len(one), len(other)) :] = inf
    return found


def _filled(values: Sequence[float], length: int) -> np.ndarray:
    return np.array([*values, *[0.0] * (length - len(values))], np.float64)


def tensors_agree(
    name: str, allowed: Amounts, one: Tensors, other: Tensors, rounding: Tensors | None = None
) -> Check:
    """Compares tensor by tensor: the norm of the difference relative to the norm of the tensor.
    Updates can be arbitrarily small; from their difference the `rounding` of the weights is
    subtracted."""
    bound = allowed[name]
    unequal = _unequal_tensors(one, other)
    if unequal is not None:
        return Check(
            name=name, bound=bound, kind="relative", worst=None, passed=False, where=unequal
        )
    found = {
        tensor: _relative_difference(
            one[tensor], other[tensor], None if rounding is None else rounding[tensor]
        )
        for tensor in sorted(one)
    }
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


def _unequal_tensors(one: Tensors, other: Tensors) -> str | None:
    """The first tensor that cannot be compared, and the reason; None if all can."""
    if not one and not other:
        return "no tensor was recorded"
    absent = sorted(one.keys() ^ other.keys())
    if absent:
        return f"only one side has {absent[0]}"
    for tensor in sorted(one):
        a, b = one[tensor], other[tensor]
        if a.shape != b.shape:
            return f"{tensor} has {a.size} numbers on one side and {b.size} on the other"
    return None


def _relative_difference(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None) -> float:
    difference = float(np.linalg.norm(a - b))
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    if weights is None:
        return difference / (size + SMALL_NORM)
    spare = max(0.0, difference - ULP * float(np.linalg.norm(weights)))
    if size:
        return spare / size
    return inf if spare else 0.0


def compare_logits(name: str, bound: float, one: np.ndarray, other: np.ndarray) -> Check:
    """Compares the logits of all evaluation examples by their absolute difference."""
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


def compare_labels(allowed: Amounts, one: np.ndarray, other: np.ndarray) -> Check:
    """Compares the predicted labels by the share of evaluation examples that agree."""
    bound = allowed["labels"]
    if one.shape != other.shape or not one.size:
        return Check(
            name="labels",
            bound=bound,
            kind="share",
            worst=None,
            passed=False,
            where="not the same examples, or no examples",
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


def _worst(values: np.ndarray) -> float:
    """The largest value, or NaN if any value is NaN."""
    return float(values.max())


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
