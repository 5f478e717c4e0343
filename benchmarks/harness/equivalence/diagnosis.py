"""The likely cause of a failed check, as far as two traces show it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.equivalence.trace import Traced
from frameworks.contract import takes_decay
from results.schema import Check


def likely_cause(failed: Check, checks: Sequence[Check], traced: Traced) -> str:
    """The likely cause in one line. `traced` is the first side's trace."""
    if failed.name in ("loss", "gradient norm"):
        return _at_a_step(failed, traced)
    if failed.name == "first update":
        return _update(failed, traced)
    return _BY_CHECK[failed.name]


_BY_CHECK = {
    "recipe": "two different recipes",
    "steps": "a training that ended early, or a trace of which a part is missing",
    "batches": "the data: its order, padding, tokens, token types or labels",
    "starting weights": "the starting weights: another checkpoint, or a head from another seed",
    "starting logits": "the model: how it uses masks, token types and positions, or its activation",
    "learning rate": "the schedule: its warm-up or its decay",
    "weights": "a small difference in every update, such as another epsilon or decay",
    "final logits": "small differences that accumulate, or what is disabled for prediction",
    "labels": "small differences that accumulate, at examples on the border of two labels",
    "clipping": "the recipe of the traces; nothing differs",
}


def _at_a_step(failed: Check, traced: Traced) -> str:
    trace, step = traced.trace, failed.step or 1
    full = max(trace.examples, default=0)
    partial = [s for s, count in enumerate(trace.examples, 1) if count < full]
    if step == 1 and failed.name == "loss":
        return "the loss, its labels, or dropout: the logits before training agree"
    if partial[:1] == [step]:
        return "how examples are weighted: it is the first step with fewer of them"
    if failed.name == "gradient norm" and step <= trace.update_step:
        return "the gradient: how losses are averaged or accumulated; the loss itself agrees"
    limit = traced.recipe.get("max_gradient_norm") or float("inf")
    clipped = [s for s, norm in enumerate(trace.gradient_norm, 1) if norm > limit]
    if clipped and trace.update_step < clipped[0] < step:
        return "the update: clipping, which was active before it, or the optimizer's formula"
    return "the update: clipping, weight decay, or the optimizer's formula"


def _update(failed: Check, traced: Traced) -> str:
    tensor = (failed.where or "").split(" and ")[0]
    limit = traced.recipe.get("max_gradient_norm") or float("inf")
    clipped = any(n > limit for n in traced.trace.gradient_norm[: traced.trace.update_step])
    causes = ["epsilon", "weight decay"]
    if tensor and not takes_decay(tensor):
        causes[1] = "weight decay on a weight that should have none, such as this one"
    causes += ["clipping, which was active by then"] * clipped
    return f"the optimizer's update: {', '.join(causes[:-1])} or {causes[-1]}; the gradient agrees"
