"""Clean traces of both backends, recorded once for all tests of faults."""

from __future__ import annotations

import pytest

from benchmarks.harness.equivalence.trace import Traced
from frameworks.contract import Start
from tests.frameworks.certificates.faults import curved, faulty_spec
from tests.frameworks.certificates.tracing import clean_trace
from tests.frameworks.conftest import needed

BACKENDS = ("hf_torch", "hf_tf")


@pytest.fixture(scope="session")
def curved_start(starts: dict[str, Start], tmp_path_factory: pytest.TempPathFactory) -> Start:
    for backend in BACKENDS:
        needed(backend)
    return curved(starts["bert"], tmp_path_factory.mktemp("start") / "bert")


@pytest.fixture(scope="session")
def exact(curved_start: Start) -> list[Traced]:
    """Both backends in fp32, PyTorch first."""
    return [clean_trace(backend, faulty_spec(curved_start, "fp32")) for backend in BACKENDS]
