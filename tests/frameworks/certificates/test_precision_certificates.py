"""Certificates in bf16, whose bounds come from one backend's own runs in bf16 and in fp32: a clean
one holds, and faults larger than the rounding are caught.

`pytest tests/frameworks/certificates/test_precision_certificates.py -s` prints what was caught at which check:
the second table in docs/equivalence.md.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.harness.equivalence.certificate import certify
from benchmarks.harness.equivalence.checks import describe
from benchmarks.harness.equivalence.trace import Traced
from frameworks.contract import Session, Start, unsupported_precision
from results.schema import Certificate
from tests.frameworks.certificates import faults
from tests.frameworks.certificates.conftest import BACKENDS
from tests.frameworks.certificates.tracing import clean_trace, traced
from tests.frameworks.conftest import new_session


@pytest.fixture(scope="module")
def start(curved_start: Start) -> Start:
    if why := unsupported_precision("cpu", "bf16"):
        pytest.skip(why)
    return curved_start


@pytest.fixture(scope="module")
def reduced(start: Start) -> list[Traced]:
    """Both backends in bf16."""
    return [clean_trace(backend, faults.faulty_spec(start, "bf16")) for backend in BACKENDS]


def test_without_a_fault_it_holds(exact: list[Traced], reduced: list[Traced]) -> None:
    for repeats in (exact, exact[:1], exact[1:]):
        found = certify(*reduced, repeats)
        assert found.holds, found.verdict
    assert not certify(*exact).checks[-1].derived
    assert certify(exact[0], reduced[1]).failed_first == "recipe"


# Faults of the precision itself, which fp32 cannot show.


def weights_rounded(session: Session) -> None:
    """No fp32 weights behind those that the products are made with."""
    for parameter in session.model.parameters():
        parameter.data = parameter.data.bfloat16()


def updates_rounded(session: Session) -> None:
    import torch

    @torch.no_grad()
    def round_off(*_):
        for parameter in session.model.parameters():
            parameter.copy_(parameter.bfloat16())

    session.optimizer.register_step_post_hook(round_off)


def loss_scale_left_in(monkeypatch):
    def loss(torch, logits, labels, count):
        mean = torch.nn.functional.cross_entropy(logits, labels, reduction="sum") / count
        return 128 * mean - 127 * mean.detach()

    faults.of_loss(monkeypatch, loss)


IN_SESSION = [
    (weights_rounded, "starting weights", None),
    (updates_rounded, "first update", 2),
    (faults.mask_ignored, "weights", None),
    (faults.dropout_left_on, "gradient norm", 1),
    (faults.decay_in_the_gradient, "first update", 2),
]
IN_MODULES = [
    (loss_scale_left_in, "gradient norm", 1),
    (faults.accumulation_not_averaged, "gradient norm", 1),
    (faults.partial_batch_weighted, "loss", 6),
    (faults.labels_shifted, "gradient norm", 1),
    (faults.warmup_one_step_early, "learning rate", 1),
]


@pytest.mark.parametrize(
    ("inject", "check", "step"), IN_SESSION, ids=[row[0].__name__ for row in IN_SESSION]
)
def test_a_fault_in_the_session_is_caught(
    start: Start,
    exact: list[Traced],
    reduced: list[Traced],
    inject: Callable[[Session], None],
    check: str,
    step: int | None,
) -> None:
    session = new_session("hf_torch", faults.faulty_spec(start, "bf16"))
    inject(session)
    caught(inject.__name__, certify(reduced[1], traced("hf_torch", session), exact), check, step)


@pytest.mark.parametrize(
    ("inject", "check", "step"), IN_MODULES, ids=[row[0].__name__ for row in IN_MODULES]
)
def test_a_fault_in_the_backend_is_caught(
    start: Start,
    exact: list[Traced],
    reduced: list[Traced],
    monkeypatch: pytest.MonkeyPatch,
    inject: Callable[[pytest.MonkeyPatch], None],
    check: str,
    step: int,
) -> None:
    inject(monkeypatch)
    faulty = clean_trace("hf_torch", faults.faulty_spec(start, "bf16"))
    caught(inject.__name__, certify(reduced[1], faulty, exact), check, step)


def caught(fault: str, certificate: Certificate, check: str, step: int | None) -> None:
    failed = next((c for c in certificate.checks if c.name == certificate.failed_first), None)
    print(f"\n| {fault} | {describe(failed) if failed else 'nothing'} |")
    assert not certificate.holds, fault
    assert failed is not None and failed.name == check, certificate.verdict
    assert step is None or failed.step == step, certificate.verdict
