"""Every search of these tests runs fake workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.harness.limits import probe
from tests.harness.limits.fakes import NoPeak, Worker


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Worker]]:
    monkeypatch.setattr(probe, "WorkerProcess", Worker)
    monkeypatch.setattr(probe, "DataPeak", NoPeak)
    monkeypatch.setattr(probe, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(Worker, "began", [])
    monkeypatch.setattr(Worker, "stopped_at", None)

    yield Worker
