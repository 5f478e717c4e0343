"""The certificate: two traces compared, and what the comparison proves.

Pure: nothing is read, written or trained here, so traces from other machines, environments and
versions are compared like those of one run. docs/equivalence.md gives the reasons for the bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

from benchmarks.harness.equivalence import bounds
from benchmarks.harness.equivalence.bounds import FIXED, Amounts
from benchmarks.harness.equivalence.checks import (
    clipped,
    derived_clipping,
    describe,
    make_checks,
    same_batches,
    same_recipe,
)
from benchmarks.harness.equivalence.compare import step_differences, tensors_agree
from benchmarks.harness.equivalence.count_sketch import EXEMPT
from benchmarks.harness.equivalence.diagnosis import likely_cause
from benchmarks.harness.equivalence.trace import Traced
from benchmarks.harness.errors import UserError
from results.schema import Certificate, Check, Repeat


def certify(first: Traced, second: Traced, repeats: Sequence[Traced] = ()) -> Certificate:
    """The certificate of two traces of one task. Traces in a reduced precision need `repeats`:
    the fp32 trace of one of the backends or of both, from which the bounds are derived.

    Raises UserError when the traces are of different tasks or the repeats of another training."""
    if first.task != second.task:
        raise UserError(
            f"the traces are of different tasks, {first.task!r} and {second.task!r}: "
            "compare traces of one task"
        )
    a, b = first.trace, second.trace
    whole = first.arrays.weights is not None and second.arrays.weights is not None
    differences = step_differences(a.loss, b.loss)
    allowed = _allowed(first, second, repeats)
    checks = [
        check.model_copy(update={"derived": bool(repeats) and check.name in bounds.DERIVED})
        for check in make_checks(first, second, allowed)
    ]
    failed = first_failure(checks)
    epochs = ceil(a.steps / a.steps_per_epoch)
    return Certificate(
        task=first.task,
        first=first.side,
        second=second.side,
        recipe=dict(first.recipe),
        steps=a.steps,
        epochs=epochs,
        clipped_steps=clipped(first),
        weights_compared="exact" if whole else "sketch",
        checks=checks,
        holds=failed is None,
        failed_first=failed.name if failed else None,
        likely_cause=likely_cause(failed, checks, first) if failed else None,
        verdict=_verdict(first, epochs, failed, checks),
        notes=[*_clipped_at(first), EXEMPT],
        loss_differences=differences.tolist(),
        repeat=Repeat(backends=[repeat.side.backend for repeat in repeats], times=bounds.TIMES)
        if repeats
        else None,
    )


def reduced(first: Traced, second: Traced) -> str | None:
    """The reduced precision of both traces; None if they are in fp32 or in two precisions."""
    words = {str(traced.recipe.get("precision")) for traced in (first, second)}
    return words.pop() if len(words) == 1 and words != {"fp32"} else None


def _allowed(first: Traced, second: Traced, repeats: Sequence[Traced]) -> Amounts:
    """The bounds of all checks. Raises UserError, see `certify`."""
    precision = reduced(first, second)
    if precision and not repeats:
        raise UserError(
            f"the traces are in {precision}, whose bounds follow from an fp32 run: add the fp32 trace "
            "of one of the two backends, or of both"
        )
    if repeats and not precision:
        raise UserError(
            "an fp32 trace is added only to two traces in the same reduced precision (bf16, fp16 or "
            "tf32): name two traces alone"
        )
    return (
        bounds.derived([_own(_repeated(first, second, repeat), repeat) for repeat in repeats])
        if repeats
        else FIXED
    )


def _repeated(first: Traced, second: Traced, repeat: Traced) -> Traced:
    """Finds the side that a repeat belongs to. Its recipe must equal that side's except for the
    precision, and it must start from the weights and batches of either side; otherwise the
    difference would not be rounding. Either side is accepted because, if a fault changes these in
    one side, the certificate must report it. Raises UserError.
    """
    backend = repeat.side.backend
    side = next((t for t in (first, second) if t.side.backend == backend), None)
    if side is None:
        raise UserError(
            f"the added fp32 trace is of {backend}, the two traces are of "
            f"{first.side.backend} and {second.side.backend}: add the fp32 trace of one of these"
        )
    derived = derived_clipping(side, repeat)
    recipe = same_recipe({**side.recipe, "precision": "fp32"}, repeat.recipe, derived)
    starts = [
        (
            same_batches(t, repeat),
            tensors_agree("starting weights", FIXED, t.arrays.start, repeat.arrays.start),
        )
        for t in (first, second)
    ]
    failed = [check for check in (recipe, *starts[0]) if not check.passed]
    known = any(all(check.passed for check in start) for start in starts)
    if not recipe.passed or not known or side.task != repeat.task:
        why = describe(failed[0]) if failed else f"it is of {repeat.task}"
        raise UserError(
            f"the added trace of {backend} is not the same training in fp32: {why}: record both with "
            "the same profile and data"
        )
    return side


def _own(side: Traced, repeat: Traced) -> Amounts:
    """How much a backend's run in reduced precision differs from its own in fp32; infinite if a
    difference is not a number."""
    found = {
        check.name: inf if check.worst is None else check.worst
        for check in make_checks(side, repeat, FIXED)
    }
    # One more than observed: no difference among a few examples does not rule out any.
    found["labels"] = 1 - found["labels"] + 1 / max(1, side.trace.evaluation_examples)
    return found


def first_failure(checks: Sequence[Check]) -> Check | None:
    """The check that fails at the earliest step; within a step, the one that runs first. Checks
    without a step count as first if they precede training, else as last."""
    training = next(i for i, check in enumerate(checks) if check.name == "loss")
    failed = [(_when(check, i < training), i) for i, check in enumerate(checks) if not check.passed]
    return checks[min(failed)[1]] if failed else None


def _when(check: Check, before: bool) -> float:
    """The step at which a check fails; 0 before training, including the first step's batches."""
    if check.step is None:
        return 0 if before else inf
    return 0 if check.name == "batches" and check.step == 1 else check.step


def _clipped_at(traced: Traced) -> list[str]:
    """Where the norm at which gradients were clipped comes from, if the profile did not give it."""
    norms = traced.trace.calibration_norms
    if norms is None:
        return []
    limit = traced.recipe["max_gradient_norm"]
    return [
        f"gradients were clipped at {limit:.3g}, the median norm of the first {len(norms)} steps"
    ]


def _verdict(traced: Traced, epochs: int, failed: Check | None, checks: Sequence[Check]) -> str:
    steps = traced.trace.steps
    of = (
        f"{traced.recipe.get('precision')}, {epochs} {'epoch' if epochs == 1 else 'epochs'}, "
        f"accumulation {traced.recipe.get('accumulation')}"
    )
    if failed is None:
        loss = next(check for check in checks if check.name == "loss")
        bound = f"{loss.bound:.2g}".replace("e-0", "e-")
        own = f", {bounds.TIMES:g} times its own rounding" if loss.derived else ""
        return f"same work: proven to {bound}{own} over {steps} steps ({of})"
    if failed.kind == "some":  # nothing differs
        return f"same work: not proven: {describe(failed)} ({of})"
    return f"not the same work: {describe(failed)} ({of})"
