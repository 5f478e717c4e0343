"""Traces that are made up, for the tests of the certificate."""

from __future__ import annotations

import numpy as np

from benchmarks.harness.equivalence.count_sketch import sketches
from benchmarks.harness.equivalence.trace import Arrays, Traced
from results.schema import Side, Trace

STEPS = 12
RECIPE = {
    "precision": "fp32",
    "accumulation": 1,
    "steps": STEPS,
    "weight_decay": 0.1,
    "max_gradient_norm": 1.0,
    "attention": None,
}
TENSORS = {
    "bert.layer.weight": (40, 30),
    "bert.LayerNorm.bias": (30,),
    "bert.key.bias": (30,),
    "classifier.weight": (3, 30),
}


def made_trace(**changes: object) -> Trace:
    fields = {
        "steps": STEPS,
        "steps_per_epoch": 6,
        "update_step": 2,
        "examples": [4] * 5 + [2] + [4] * 5 + [2],
        "batches": [f"{i:064x}" for i in range(STEPS)],
        "batch_steps": list(range(1, STEPS + 1)),
        "loss": [1.0 / s for s in range(1, STEPS + 1)],
        "gradient_norm": [0.5 + 0.1 * s for s in range(STEPS)],
        "learning_rate": [1e-4 * s for s in range(STEPS)],
        "evaluation_examples": 50,
    }
    return Trace(**fields | changes)


def weights(seed: int = 0, size: float = 0.05) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: size * generator.standard_normal(shape) for name, shape in TENSORS.items()}


def made_arrays(**changes: object) -> Arrays:
    logits = np.random.default_rng(1).standard_normal((50, 3)).astype(np.float32)
    fields = {
        "start_logits": logits,
        "end_logits": 2 * logits,
        "start": sketches(weights()),
        "update": sketches(weights(2, 1e-5)),
        "end": sketches(weights(3)),
    }
    return Arrays(**fields | changes)


def made(
    trace: Trace | None = None,
    arrays: Arrays | None = None,
    backend: str = "hf_torch",
    **recipe: object,
) -> Traced:
    side = Side(backend=backend, device="made up", versions={"x": "1"}, started_at="now")
    return Traced(side, "mnli", RECIPE | recipe, trace or made_trace(), arrays or made_arrays())


def rounded(seed: int, size: float) -> tuple[Trace, Arrays]:
    """A trace off by `size`, as rounding makes it: losses, norms, logits, updates and weights."""
    generator = np.random.default_rng(seed)

    def off(values: np.ndarray) -> np.ndarray:
        return values * (1 + size * generator.uniform(-1, 1, values.shape))

    trace, arrays = made_trace(), made_arrays()
    return (
        made_trace(
            loss=off(np.array(trace.loss)).tolist(),
            gradient_norm=off(np.array(trace.gradient_norm)).tolist(),
        ),
        made_arrays(
            start_logits=off(arrays.start_logits),
            end_logits=off(arrays.end_logits),
            update=sketches({n: off(v) for n, v in weights(2, 1e-5).items()}),
            end=sketches({n: off(v) for n, v in weights(3).items()}),
        ),
    )


def reduced(seed: int, backend: str, size: float = 4e-3, **changes: object) -> Traced:
    trace, arrays = rounded(seed, size)
    return made(trace.model_copy(update=changes), arrays, backend, precision="bf16")
