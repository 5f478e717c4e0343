"""Other processes on the GPU of a search, and budgets of a whole GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.harness.limits import probe
from benchmarks.harness.limits.probe import PROCESSES_UNKNOWN
from benchmarks.harness.machine import nvml
from tests.harness.limits.fakes import (
    GIB,
    GPU,
    MIB,
    NO_EXPECTATION,
    Worker,
    search,
)

pytestmark = pytest.mark.once


def others(monkeypatch: pytest.MonkeyPatch, answers: Iterator[list[str] | None]) -> None:
    """NVML's lists of processes, one for each call; the last one repeats."""
    last: list[list[str] | None] = [[]]

    def answer() -> list[str] | None:
        last[0] = next(answers, last[0])
        return last[0]

    monkeypatch.setattr(probe, "compute_processes", answer)


def test_another_process_on_the_gpu_ends_a_search(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """Checked before the first probe and while it computes; then another process appears."""
    others(monkeypatch, iter([[], ["ours"], ["python (process 4711)"]]))
    m = search("1GiB", GPU, [])
    assert m.status == "failed" and "process 4711" in (m.reason or "")
    assert m.batch_limit is not None and m.batch_limit.limit is None
    assert worker.began == [4] == [p.batch_size for p in m.batch_limit.probes]


def test_a_failure_beside_another_process_does_not_count(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """It appeared after the last check, and the probe ran out of memory."""
    others(monkeypatch, iter([[], ["python (process 4711)"]]))
    m = search("512MiB", GPU, [])
    assert m.status == "failed" and "process 4711" in (m.reason or "")
    assert worker.began == [4]
    assert m.batch_limit is not None and m.batch_limit.probes == []


@pytest.mark.parametrize("silent", [None, []])
def test_a_note_says_that_nvml_lists_no_processes(
    silent: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not list processes at all, or not even the probe's own."""
    others(monkeypatch, iter([silent]))
    m = search("1GiB", GPU, [])
    assert m.status == "ok" and m.batch_limit is not None
    assert m.batch_limit.limit == 13 and m.batch_limit.notes == [NO_EXPECTATION, PROCESSES_UNKNOWN]


def test_there_is_no_note_if_nvml_lists_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed() -> list[str]:
        return ["python (process 12)"] if Worker.computing else []

    monkeypatch.setattr(probe, "compute_processes", listed)
    m = search("1GiB", GPU, [])
    assert m.status == "ok" and m.batch_limit is not None
    assert m.batch_limit.notes == [NO_EXPECTATION]


@pytest.mark.parametrize(("backend", "bounded"), [("hf_torch", False), ("hf_tf", True)])
def test_the_whole_gpu(backend: str, bounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow gets a share of the free memory as its limit, PyTorch gets no limit."""
    others(monkeypatch, iter([None]))
    monkeypatch.setattr(nvml, "free_bytes", lambda: 4 * GIB)
    found = search("device", GPU, [], backend).batch_limit
    assert found is not None and not found.emulated
    by = "the framework's own limit" if bounded else "the device"
    assert found.enforced_by == by
    reserve = 1536 * MIB if bounded else 0
    assert found.budget_bytes == 4 * GIB - GIB // 2 - reserve
    assert found.limit == 38
