"""Traces of tiny sessions, for the tests that compare two backends."""

from __future__ import annotations

import dataclasses

from benchmarks.harness.equivalence.trace import Traced
from benchmarks.harness.worker.questions.equivalence import clipping_some, trace
from frameworks.contract import Examples, Session, SessionSpec, Start
from results.schema import Side
from tests.frameworks.conftest import make_examples, make_spec, new_session

# Two epochs of 22 examples, the last batch partial; warm-up, decay and clipping at work.
FIELDS: dict[str, object] = {
    "steps": 12,
    "accumulation": 1,
    "learning_rate": 3e-4,
    "weight_decay": 0.1,
    "warmup_share": 0.2,
    "padding": "longest",
}


def traced_spec(start: Start, **fields: object) -> SessionSpec:
    return make_spec(start, hash_batches=True, **FIELDS | fields)


def evaluation(start: Start) -> Examples:
    return make_examples(12, pairs=start.architecture == "bert", seed=9)


def traced(
    backend: str,
    session: Session,
    examples: Examples | None = None,
    spec: SessionSpec | None = None,
) -> Traced:
    """Trains the session, without the comparison of the recipe that a job makes first: it would find
    some faults before the certificate does. `spec` replaces what the trace says of its recipe."""
    found, arrays = trace(session, session.train, examples or evaluation(session.spec.start))
    side = Side(backend=backend, device="this one", versions={}, started_at="now")
    recipe = (spec or session.spec).recipe.model_dump()
    return Traced(side, "tiny", recipe, found, arrays)


def clean_trace(backend: str, spec: SessionSpec) -> Traced:
    return traced(backend, new_session(backend, spec))


def derived_trace(backend: str, spec: SessionSpec) -> Traced:
    """A trace that clips at the median norm of its own first steps, as a worker takes it."""
    spec, norms = clipping_some(lambda plain: new_session(backend, plain), spec)
    found = clean_trace(backend, spec)
    trace = found.trace.model_copy(update={"calibration_norms": norms})
    return dataclasses.replace(found, trace=trace)
