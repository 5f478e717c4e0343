"""The certificate can fail: every deliberate fault is caught, and the check that fails first, with
its step, is the one that names it.

Each fault is put into PyTorch's backend at one of its seams and compared with a clean trace of
TensorFlow. `pytest tests/frameworks/certificates/test_faults.py -s`
prints what was caught at which check: the table in docs/equivalence.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.checks import describe
from benchmarks.harness.equivalence.trace import Traced
from frameworks.contract import Examples, Session, SessionSpec, Start
from tests.frameworks.certificates.faults import (
    IN_MODULES,
    IN_SESSION,
    faulty_spec,
    labels_moved,
    premise_only,
    types_not_given,
)
from tests.frameworks.certificates.tracing import clean_trace, evaluation, traced
from tests.frameworks.conftest import new_session


@pytest.fixture(scope="module")
def spec(curved_start: Start) -> SessionSpec:
    return faulty_spec(curved_start, "fp32")


@pytest.fixture(scope="module")
def reference(exact: list[Traced]) -> Traced:
    return exact[1]


@pytest.mark.parametrize(
    ("fault", "inject", "check", "step"), IN_SESSION, ids=[row[1].__name__ for row in IN_SESSION]
)
def test_a_fault_in_the_session_is_caught(
    reference: Traced,
    spec: SessionSpec,
    fault: str,
    inject: Callable[[Session], None],
    check: str,
    step: int | None,
) -> None:
    session = new_session("hf_torch", spec)
    inject(session)
    caught(fault, reference, traced("hf_torch", session), check, step)


@pytest.mark.parametrize(
    ("fault", "inject", "check", "step"), IN_MODULES, ids=[row[1].__name__ for row in IN_MODULES]
)
def test_a_fault_in_the_backend_is_caught(
    reference: Traced,
    spec: SessionSpec,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    inject: Callable[[pytest.MonkeyPatch], None],
    check: str,
    step: int | None,
) -> None:
    inject(monkeypatch)
    caught(fault, reference, clean_trace("hf_torch", spec), check, step)


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("premise only", premise_only),
        ("token types dropped from the batch", types_not_given),
        ("labels shifted by one class, in the data", labels_moved),
    ],
)
def test_a_fault_in_the_data_is_caught(
    reference: Traced, spec: SessionSpec, fault: str, change: Callable[[Examples], Examples]
) -> None:
    session = new_session("hf_torch", dataclasses.replace(spec, train=change(spec.train)))
    trace = traced("hf_torch", session, change(evaluation(spec.start)))
    caught(fault, reference, trace, "batches", 1)


def test_keras_own_epsilon_is_caught_in_tensorflow(
    exact: list[Traced], spec: SessionSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the backend where the convention is another: epsilon as Keras's own Adam has it."""
    import tensorflow as tf

    from frameworks.hf_tf import optimizer

    step_of = optimizer.AdamW.update_step

    def unscaled(self, gradient, variable):
        given = self.epsilon
        scale = tf.sqrt(
            1 - tf.cast(self.beta_2, tf.float64) ** tf.cast(self.iterations + 1, tf.float64)
        )
        self.epsilon = given / scale
        try:
            step_of(self, gradient, variable)
        finally:
            self.epsilon = given

    monkeypatch.setattr(optimizer.AdamW, "update_step", unscaled)
    faulty = clean_trace("hf_tf", spec)
    caught("epsilon not scaled, in TensorFlow", exact[0], faulty, "first update", 2)


def test_without_a_fault_it_holds(exact: list[Traced]) -> None:
    certificate = certify(exact[1], exact[0])
    assert certificate.holds, certificate.verdict
    assert 0 < certificate.clipped_steps < certificate.steps
    assert certificate.epochs == 2


def caught(fault: str, reference: Traced, trace: Traced, check: str, step: int | None) -> None:
    certificate = certify(reference, trace)
    failed = next((c for c in certificate.checks if c.name == certificate.failed_first), None)
    print(
        f"\n| {fault} | {describe(failed) if failed else 'nothing'} | {certificate.likely_cause} |"
    )
    assert not certificate.holds, fault
    assert failed is not None and failed.name == check, certificate.verdict
    assert step is None or failed.step == step, certificate.verdict
