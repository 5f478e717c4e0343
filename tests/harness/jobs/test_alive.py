"""Workers that have ended are nobody's company on a GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.jobs.process import WorkerProcess

pytestmark = pytest.mark.once

PID = 2**22 + 1  # no process has such an id


def test_a_worker_that_ended_by_itself_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hide another process on the GPU for the rest of a race."""
    worker: Any = WorkerProcess.__new__(WorkerProcess)
    worker.pid, worker._process = PID, SimpleNamespace(wait=lambda: 1)
    worker.stderr_tail = lambda: []
    monkeypatch.setattr(WorkerProcess, "alive", {PID})
    assert worker._ended().exit_code == 1
    assert WorkerProcess.alive == set()
