"""PyTorch and TensorFlow do the same work: a clean certificate for every architecture.
`test_faults.py` shows that one can fail, and
has a clean one of batches that are accumulated."""

from __future__ import annotations

import pytest

from benchmarks.harness.equivalence.certificate import certify
from frameworks.contract import Start
from tests.frameworks.certificates.tracing import clean_trace, traced_spec
from tests.frameworks.conftest import needed

# The median gradient norm of these models, so that a part of the steps is clipped.
LIMITS = {"bert": 0.5, "distilbert": 0.5, "gpt2": 1.5}


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "gpt2"])
def test_the_certificate_holds(starts: dict[str, Start], architecture: str) -> None:
    """fp32, dropout off, warm-up and decay, clipping at work in a part of the steps, partial
    batches at every epoch's end."""
    for name in ("hf_torch", "hf_tf"):
        needed(name)
    spec = traced_spec(
        starts[architecture],
        steps=24,
        max_gradient_norm=LIMITS[architecture],
    )
    found = certify(*(clean_trace(name, spec) for name in ("hf_torch", "hf_tf")))
    assert found.holds, found.verdict
    assert 0 < found.clipped_steps < found.steps
    assert found.epochs > 2
