"""The certificate: two traces laid beside each other, and what they prove.

Pure: nothing is read, written or trained here, so traces of other machines, environments and
versions compare like those of one run. The bounds, and why they are what they are, stand in
docs/equivalence.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, inf
from typing import Any, Literal

import numpy as np

from benchmarks.harness.errors import UserError
from benchmarks.harness.points_to import points_to
from benchmarks.harness.sketch import EXEMPT, exact
from benchmarks.harness.traces import Tensors, Traced
from results.schema import Certificate, Check

Kind = Literal["same", "absolute", "relative", "share"]

# How a framework computes may differ; what it computes may not. The last four only decide when
# something is looked at.
FREE_FIELDS = {"attention", "compile", "log_interval", "evaluation_interval", "keep_best",
               "epochs"}
START_WEIGHTS = 1e-6
START_LOGITS = 1e-5
LOSS = 1e-5
GRADIENT_NORM = 1e-4
LEARNING_RATE = 1e-4
FIRST_UPDATE = 1e-2
WEIGHTS = 1e-4
END_LOGITS = 1e-3
LABELS = 0.999
BATCH_EPOCHS = 2  # epochs whose batches must be the same
SMALL_NORM = 1e-3  # is added to a tensor's norm: a bias that began at 0 has next to none
PLURAL = {"batches", "starting weights", "starting logits", "weights", "final logits", "labels"}
ULP = 2.0 ** -23  # of single precision: no update is told apart below the weight's own rounding


def certify(first: Traced, second: Traced) -> Certificate:
    """The certificate of two traces of one task.

    Errors: UserError where they are of different tasks."""
    if first.task != second.task:
        raise UserError(f"the traces are of different tasks, {first.task!r} and {second.task!r}: "
                        "compare traces of one task")
    a, b = first.trace, second.trace
    whole = first.arrays.weights is not None and second.arrays.weights is not None
    differences = _differences(a.loss, b.loss)
    checks = [*_before(first, second), *_steps(first, second), *_after(first, second)]
    failed = first_failure(checks)
    limit = first.recipe.get("max_gradient_norm") or inf
    epochs = ceil(a.steps / a.steps_per_epoch)
    return Certificate(
        task=first.task, first=first.side, second=second.side, recipe=dict(first.recipe),
        steps=a.steps, epochs=epochs, clipped_steps=sum(n > limit for n in a.gradient_norm),
        weights_compared="exact" if whole else "sketch", checks=checks,
        holds=failed is None, failed_first=failed.name if failed else None,
        points_to=points_to(failed, checks, first) if failed else None,
        verdict=_verdict(first, epochs, failed), notes=[EXEMPT],
        loss_differences=differences.tolist(),
    )


def first_failure(checks: Sequence[Check]) -> Check | None:
    """The check that fails at the earliest step; of one step, the one that is made first. What
    has no step and stands before the training comes first, what stands after it last."""
    training = next(i for i, check in enumerate(checks) if check.name == "loss")
    failed = [(_when(check, i < training), i) for i, check in enumerate(checks) if not check.passed]
    return checks[min(failed)[1]] if failed else None


def _when(check: Check, before: bool) -> float:
    """The step at which a check fails; 0 before the training, as are the first step's batches."""
    if check.step is None:
        return 0 if before else inf
    return 0 if check.name == "batches" and check.step == 1 else check.step


def _before(first: Traced, second: Traced) -> Iterator[Check]:
    yield _recipe(first.recipe, second.recipe)
    yield _batches(first, second)
    yield _tensors("starting weights", START_WEIGHTS, first.arrays.start, second.arrays.start)
    yield _logits("starting logits", START_LOGITS, first.arrays.start_logits,
                  second.arrays.start_logits)


def _steps(first: Traced, second: Traced) -> Iterator[Check]:
    a, b = first.trace, second.trace
    yield _by_step("loss", LOSS, "absolute", a.loss, b.loss)
    yield _by_step("gradient norm", GRADIENT_NORM, "relative", a.gradient_norm, b.gradient_norm)
    yield _by_step("learning rate", LEARNING_RATE, "relative", a.learning_rate, b.learning_rate)
    check = _tensors("first update", FIRST_UPDATE, first.arrays.update, second.arrays.update,
                     rounding=first.arrays.start)
    yield check if check.passed else check.model_copy(update={"step": a.update_step})


def _after(first: Traced, second: Traced) -> Iterator[Check]:
    one, other = first.arrays, second.arrays
    if one.weights is not None and other.weights is not None:
        yield _tensors("weights", WEIGHTS, exact(one.weights), exact(other.weights))
    else:
        yield _tensors("weights", WEIGHTS, one.end, other.end)
    yield _logits("final logits", END_LOGITS, one.end_logits, other.end_logits)
    yield _labels(one.end_logits, other.end_logits)


def _recipe(one: Mapping[str, Any], other: Mapping[str, Any]) -> Check:
    names = sorted((one.keys() | other.keys()) - FREE_FIELDS)
    differing = [f"{name}: {one.get(name)!r} against {other.get(name)!r}"
                 for name in names if one.get(name) != other.get(name)]
    return Check(name="recipe", bound=0, kind="same", worst=len(differing),
                 passed=not differing, where="; ".join(differing) or None)


def _batches(first: Traced, second: Traced) -> Check:
    """The batches of the first epochs, in their order."""
    ours, theirs = (
        [digest for digest, step in zip(t.batches, t.batch_steps, strict=False)
         if step <= BATCH_EPOCHS * t.steps_per_epoch] for t in (first.trace, second.trace))
    count = max(len(ours), len(theirs))
    differing = [i for i in range(count) if ours[i:i + 1] != theirs[i:i + 1]]
    if not differing and count:
        return Check(name="batches", bound=0, kind="same", worst=0, passed=True)
    if not count:
        return Check(name="batches", bound=0, kind="same", worst=None, passed=False,
                     where="no batch was hashed")
    at = differing[0]
    steps = max(first.trace.batch_steps, second.trace.batch_steps, key=len)
    return Check(name="batches", bound=0, kind="same", worst=len(differing), passed=False,
                 step=steps[at], value=len(differing), where=f"batch {at + 1}")


def _by_step(name: str, bound: float, kind: Kind, one: Sequence[float],
             other: Sequence[float]) -> Check:
    differences = _differences(one, other)
    if kind == "relative":
        scale = np.maximum(np.abs(_filled(one, len(differences))),
                           np.abs(_filled(other, len(differences))))
        differences = np.divide(differences, scale, out=differences.copy(), where=scale > 0)
    beyond = np.flatnonzero(~(differences <= bound))
    step = int(beyond[0]) + 1 if len(beyond) else None
    return Check(name=name, bound=bound, kind=kind, worst=_number(_worst(differences)),
                 passed=step is None, step=step,
                 value=_number(differences[step - 1]) if step else None)


def _differences(one: Sequence[float], other: Sequence[float]) -> np.ndarray:
    """Absolute, by step; infinite where only one of the two has the step."""
    length = max(len(one), len(other))
    a, b = _filled(one, length), _filled(other, length)
    with np.errstate(invalid="ignore"):  # infinite minus infinite is not a number: it fails
        found: np.ndarray = np.abs(a - b)
    found[min(len(one), len(other)):] = inf
    return found


def _filled(values: Sequence[float], length: int) -> np.ndarray:
    return np.array([*values, *[0.0] * (length - len(values))], np.float64)


def _tensors(name: str, bound: float, one: Tensors, other: Tensors,
             rounding: Tensors | None = None) -> Check:
    """Norm-wise, tensor by tensor: the norm of the difference over that of the tensor."""
    absent = sorted(one.keys() ^ other.keys())
    if absent or not one:
        return Check(name=name, bound=bound, kind="relative", worst=None, passed=False,
                     where=f"only one side has {absent[0]}" if absent else "no tensor was kept")
    found = {}
    for tensor in sorted(one):
        a, b = one[tensor], other[tensor]
        if a.shape != b.shape:
            return Check(name=name, bound=bound, kind="relative", worst=None, passed=False,
                         where=f"{tensor} has {a.size} numbers on one side and {b.size} on the "
                         "other")
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
    return Check(name=name, bound=bound, kind="relative", worst=_number(found[worst]),
                 passed=not beyond, value=_number(found[worst]) if beyond else None,
                 where=f"{worst}{others}" if beyond else worst)


def _logits(name: str, bound: float, one: np.ndarray, other: np.ndarray) -> Check:
    """Absolute, over all evaluation examples."""
    if one.shape != other.shape:
        return Check(name=name, bound=bound, kind="absolute", worst=None, passed=False,
                     where=f"{one.shape} logits on one side, {other.shape} on the other")
    with np.errstate(invalid="ignore"):
        differences = np.abs(one.astype(np.float64) - other).max(axis=1)
    beyond = np.flatnonzero(~(differences <= bound))
    return Check(name=name, bound=bound, kind="absolute", worst=_number(_worst(differences)),
                 passed=not len(beyond),
                 value=_number(differences[beyond[0]]) if len(beyond) else None,
                 where=f"evaluation example {beyond[0] + 1}" if len(beyond) else None)


def _labels(one: np.ndarray, other: np.ndarray) -> Check:
    """The share of evaluation examples with the same predicted label."""
    if one.shape != other.shape:
        return Check(name="labels", bound=LABELS, kind="share", worst=None, passed=False,
                     where="not the same examples")
    same = one.argmax(axis=1) == other.argmax(axis=1)
    share = float(same.mean())
    return Check(name="labels", bound=LABELS, kind="share", worst=share, passed=share >= LABELS,
                 where=None if share >= LABELS else
                 f"evaluation example {int(np.flatnonzero(~same)[0]) + 1}")


def _worst(values: np.ndarray) -> float:
    """The largest; not a number where one of them is none."""
    return float(values.max()) if len(values) else inf


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _verdict(traced: Traced, epochs: int, failed: Check | None) -> str:
    steps = traced.trace.steps
    of = (f"{traced.recipe.get('precision')}, {epochs} {'epoch' if epochs == 1 else 'epochs'}, "
          f"accumulation {traced.recipe.get('accumulation')}")
    if failed is None:
        return f"same work: proven to {LOSS:.0e} over {steps} steps ({of})".replace("e-05", "e-5")
    return f"not the same work: {described(failed)} ({of})"


def described(check: Check) -> str:
    """What differs, from which step on, by how much against which bound."""
    at = f" from step {check.step} on" if check.step else ""
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
