"""A search's worker processes and recorded probes, without a framework."""

from __future__ import annotations

import pytest

from benchmarks.harness.limits import limit, probe
from benchmarks.harness.machine import budgets
from results.schema import Measurement
from tests.harness.limits.fakes import (
    CPU,
    EACH,
    FIXED,
    GIB,
    MIB,
    NO_EXPECTATION,
    Worker,
    search,
    stopped,
)

pytestmark = pytest.mark.once


def test_where_the_libraries_do_not_fit_no_other_batch_is_tried(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    monkeypatch.setattr(worker, "libraries", GIB + 1)
    monkeypatch.setattr(worker, "device_bytes", 2 * GIB)
    found = search("1GiB", CPU, []).batch_limit
    assert found is not None
    assert [(p.batch_size, p.outcome, p.reason) for p in found.probes] == [
        (1, "oom", "MemoryError: libraries")
    ]
    assert (found.limit, found.fails_at, found.needed_bytes) == (0, 1, FIXED + EACH)


@pytest.mark.parametrize("budget", ["1GiB", "device"])
def test_a_stopped_search_is_resumed_from_its_probes(
    budget: str, monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """Also if the budget is the memory that was free when it began, which has changed since."""
    free = iter([GIB, GIB - 7 * MIB])
    monkeypatch.setattr(budgets.processor, "available_bytes", lambda: next(free))
    recorded = stopped(worker, 3, budget)
    assert recorded[0].status == "interrupted" and recorded[0].batch_limit is not None
    before = recorded[0].batch_limit.probes
    worker.began = []
    found = search(budget, CPU, recorded).batch_limit
    assert found is not None and len(before) == 2
    assert found.probes[:2] == before
    assert worker.began == [p.batch_size for p in found.probes[2:]]
    assert (found.budget_bytes, found.limit, found.fails_at) == (GIB, 13, 14)


def test_a_prediction_saves_probes_and_is_recorded(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """A small probe, then the limit and the size above it that fails; also when resumed."""
    monkeypatch.setattr(worker, "predicted", 13)
    recorded = stopped(worker, 3, "1GiB")
    monkeypatch.setattr(worker, "predicted", None)  # it is not predicted again
    found = search("1GiB", CPU, recorded).batch_limit
    assert found is not None and found.expected is not None and found.notes == []
    assert [p.batch_size for p in found.probes] == [4, 13, 14]
    assert (found.expected.limit, found.expected.source) == (13, "predicted")
    assert found.seconds == found.expected.seconds + sum(p.seconds for p in found.probes)


def test_what_is_proven_on_one_task_is_expected_on_another(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """Under the same budget; under another one, the peaks of this task shape the line."""
    recorded: list[Measurement] = []
    search("1GiB", CPU, recorded)
    monkeypatch.setattr(worker, "predicted", 30)
    worker.began = []
    found = search("1GiB", CPU, recorded, task="mnli").batch_limit
    assert found is not None and found.expected is not None
    assert found.expected.source == "the limit on imdb" and worker.began == [4, 13, 14]
    worker.began = []
    found = search("2GiB", CPU, recorded, task="mnli").batch_limit
    assert found is not None and found.expected is not None
    assert found.expected.source == "predicted" and found.limit == 38
    assert worker.began[0] == 30


def test_a_resumed_search_keeps_its_expectation(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """Even if the other task's limit has been proven meanwhile."""
    monkeypatch.setattr(worker, "predicted", 13)
    recorded = stopped(worker, 2, "1GiB", task="mnli")
    search("1GiB", CPU, recorded)
    found = search("1GiB", CPU, recorded, task="mnli").batch_limit
    assert found is not None and found.expected is not None
    assert found.expected.source == "predicted"


def test_a_comparison_of_finders_uses_no_earlier_measurement(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    monkeypatch.setattr(limit, "finder_names", lambda backend: ())
    recorded: list[Measurement] = []
    search("1GiB", CPU, recorded)
    worker.began = []
    found = search("1GiB", CPU, recorded, task="mnli", compare_finders=True).batch_limit
    assert found is not None and found.expected is None and found.notes == [NO_EXPECTATION]
    assert worker.began[:2] == [4, 8]


def test_what_is_proven_stands_when_the_finders_are_stopped(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    def stopped(prober: probe.Prober, name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(limit, "run_finder", stopped)
    recorded: list[Measurement] = []
    with pytest.raises(KeyboardInterrupt):
        search("1GiB", CPU, recorded, compare_finders=True)
    assert recorded[0].status == "interrupted" and recorded[0].batch_limit is not None
    assert (recorded[0].batch_limit.limit, recorded[0].batch_limit.fails_at) == (13, 14)


def test_a_resumed_search_knows_that_its_peaks_are_counts(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """The line through counts is not followed as far."""
    monkeypatch.setattr(probe, "used_bytes", lambda result, held: (result.allocated_bytes, True))
    monkeypatch.setattr(worker, "each", MIB)
    recorded = stopped(worker, 3, "1GiB")
    assert recorded[0].batch_limit is not None and recorded[0].batch_limit.peaks_are_counts
    tried = worker.began[2]
    worker.began = []
    search("1GiB", CPU, recorded)
    assert worker.began[0] == tried == 40  # five times as far as the second probe
