"""The checks of a certificate: every quantity of two traces, compared with its bound. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, isclose
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness.equivalence.bounds import GRADIENT_NORM, LARGE_START_LOGITS, Amounts
from benchmarks.harness.equivalence.compare import (
    compare_labels,
    compare_logits,
    compare_steps,
    tensors_agree,
)
from benchmarks.harness.equivalence.count_sketch import exact
from benchmarks.harness.equivalence.trace import Traced
from results.schema import Check

# How a framework computes may differ; what it computes may not. The last five only decide when
# something is recorded, and when a training ends.
FREE_FIELDS = {
    "attention",
    "compile",
    "gradient_checkpointing",
    "log_interval",
    "evaluation_interval",
    "keep_best",
    "patience",
    "epochs",
}
BATCH_EPOCHS = 2  # epochs whose batches must be equal
PLURAL = {
    "steps",
    "batches",
    "starting weights",
    "starting logits",
    "weights",
    "final logits",
    "labels",
}


def make_checks(first: Traced, second: Traced, allowed: Amounts) -> Iterator[Check]:
    yield from _before(first, second, allowed)
    yield from _steps(first, second, allowed)
    yield from _after(first, second, allowed)
    yield _clipping(first, second)


def _before(first: Traced, second: Traced, allowed: Amounts) -> Iterator[Check]:
    yield same_recipe(first.recipe, second.recipe, derived_clipping(first, second))
    yield _whole(first, second)
    yield same_batches(first, second)
    yield tensors_agree("starting weights", allowed, first.arrays.start, second.arrays.start)
    starts = (first.arrays.start_logits, second.arrays.start_logits)
    size = float(np.abs(starts[0]).max(initial=1.0))
    bound = allowed["starting logits"]
    yield compare_logits(
        "starting logits", max(bound, min(LARGE_START_LOGITS, bound * size)), *starts
    )


def _steps(first: Traced, second: Traced, allowed: Amounts) -> Iterator[Check]:
    a, b = first.trace, second.trace
    yield compare_steps("loss", allowed, "absolute", a.loss, b.loss)
    yield compare_steps("gradient norm", allowed, "relative", a.gradient_norm, b.gradient_norm)
    yield compare_steps("learning rate", allowed, "relative", a.learning_rate, b.learning_rate)
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
    yield compare_logits("final logits", allowed["final logits"], one.end_logits, other.end_logits)
    yield compare_labels(allowed, one.end_logits, other.end_logits)


def derived_clipping(first: Traced, second: Traced) -> bool:
    """Whether both sides took the norm at which they clip from their own first steps."""
    return all(t.trace.calibration_norms is not None for t in (first, second))


def same_recipe(
    one: Mapping[str, Any], other: Mapping[str, Any], derived_clipping: bool = False
) -> Check:
    """Checks that all fields that decide what is computed are equal. Norms that each side derived are
    compared by the check of the clipping, after those that say why they differ."""
    # A trace without a field was recorded before the field existed, and used its default.
    one, other = ({"optimizer": "adamw"} | dict(recipe) for recipe in (one, other))
    free = FREE_FIELDS | {"max_gradient_norm"} if derived_clipping else FREE_FIELDS
    names = sorted((one.keys() | other.keys()) - free)
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
    """Checks that both sides took the steps of their recipe and recorded each of them."""
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
    incomplete = [
        f"{t.side.backend} recorded the {name} of {count} steps, expected {t.recipe.get('steps')}"
        for t, kept in counts
        for name, count in kept.items()
        if not count == t.trace.steps == t.recipe.get("steps")
    ]
    return Check(
        name="steps",
        bound=0,
        kind="same",
        worst=len(incomplete),
        passed=not incomplete,
        where=incomplete[0] if incomplete else None,
    )


def same_batches(first: Traced, second: Traced) -> Check:
    """Checks that the batches of the first epochs are equal and in the same order."""
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


def clipped(traced: Traced) -> int:
    """The number of steps whose gradient was clipped."""
    limit = traced.recipe.get("max_gradient_norm") or inf
    return sum(norm > limit for norm in traced.trace.gradient_norm)


def _clipping(first: Traced, second: Traced) -> Check:
    """Checks that both sides clipped some steps but not all: otherwise wrong or missing clipping
    would change nothing. Norms that they derived agree as gradient norms do."""
    counts = [(clipped(t), len(t.trace.gradient_norm), t) for t in (first, second)]
    count, steps, odd = next((c for c in counts if not 0 < c[0] < c[1]), counts[0])
    limits = [t.recipe.get("max_gradient_norm") or 0.0 for t in (first, second)]
    unequal = derived_clipping(first, second) and not isclose(*limits, rel_tol=GRADIENT_NORM)
    passed = 0 < count < steps and not unequal
    where = None
    if unequal:
        where = f"the median norms of the first steps differ, {limits[0]:.6g} and {limits[1]:.6g}"
    elif not passed:
        norms = odd.trace.gradient_norm or [0.0]
        where = (
            f"{'every' if count else 'no'} step of {odd.side.backend} was clipped at "
            f"max_gradient_norm {odd.recipe.get('max_gradient_norm')}: set it in the profile's "
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


def describe(check: Check) -> str:
    """Describes a failed check: what differs, from which step on, by how much, and the bound."""
    at = f" from step {check.step} on" if check.step else ""
    if check.kind == "some":
        return check.where or f"{check.name} was active in {check.worst} of the steps"
    where = f" ({check.where})" if check.where else ""
    differs = "differ" if check.name in PLURAL else "differs"
    if check.kind == "same":
        return f"{check.name} {differs}{at}{where}"
    amount = "not a number" if check.worst is None else f"{check.worst:.2g}"
    if check.kind == "share":
        return f"{check.name} agree on {amount}, {check.bound:g} required{where}"
    value = check.worst if check.value is None else check.value
    amount = "by an amount that is not a number" if value is None else f"by {value:.2g}"
    return f"{check.name} {differs}{at} {amount}, bound {check.bound:.0e} {check.kind}{where}"
