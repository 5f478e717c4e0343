"""A search's worker processes, recorded probes and other processes on the GPU, without a framework:
the worker is a fake whose memory is a straight line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Ready, here
from benchmarks.harness.jobs.events import Event, FrameworkLoaded, ProbeResult, ProbeStepsDone
from benchmarks.harness.jobs.job import Job, LimitWork, StartFile
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.limits import limit, probe
from benchmarks.harness.limits.limit import LimitJob
from benchmarks.harness.limits.probe import PROCESSES_UNKNOWN
from benchmarks.harness.machine import budgets
from benchmarks.harness.plan.sections import EquivalencePlan, MemoryPlan, ThroughputPlan
from frameworks.contract import Recipe
from results.schema import Checkpoint, Device, Expected, JobKey, Measurement
from tests.results import samples

pytestmark = pytest.mark.once
MIB, GIB = 2**20, 2**30
CPU = Device(kind="cpu", name="Some CPU", memory_bytes=16 * GIB, cores=2)
GPU = Device(
    kind="gpu",
    name="NVIDIA A100-SXM4-40GB",
    memory_bytes=40 * GIB,
    cores=8,
    compute_capability="8.0",
    gpu_type="A100-40",
)
NO_EXPECTATION = "no predicted limit to start from: nobody can"
NOBODY = 2**22 + 1  # no process has such an id; 0 would be this one
FIXED, EACH = 500 * MIB, 40 * MIB


class Worker:
    """Takes FIXED bytes and EACH for every example; runs out of memory above its budget."""

    device_bytes = 2 * GIB  # without a budget
    began: list[int] = []  # batch sizes
    stopped_at: int | None = None  # the probe at which the user presses Ctrl-C
    computing = False
    libraries, each = 0, EACH  # bytes
    predicted: int | None = None  # the limit; None: it cannot be predicted

    def __init__(self, job: Job, folder: Path, watch: Callable[..., None]) -> None:
        assert job.limit is not None
        self.pid, self.batch = NOBODY, job.recipe.batch_size
        self.room = job.limit.data_bytes or job.limit.framework_bytes or self.device_bytes
        self.began.append(self.batch)
        self.watch = watch

    def __enter__(self) -> Worker:
        Worker.computing = True
        return self

    def __exit__(self, *error: object) -> None:
        Worker.computing = False

    def go(self) -> None:
        pass

    def expect(self, kind: type[Event]) -> Event:
        if len(self.began) == self.stopped_at:
            raise KeyboardInterrupt
        if self.libraries > self.room:
            raise WorkerEnded("failed", "no memory", [], text="MemoryError: libraries")
        self.watch(FrameworkLoaded())
        peak = FIXED + self.batch * self.each
        if peak > self.room:
            raise WorkerEnded("failed", "no memory", [], text="MemoryError: no memory")
        if kind is ProbeStepsDone:
            return ProbeStepsDone(steps=3)
        return ProbeResult(
            steps=3,
            effective={},
            allocated_bytes=peak,
            allocated_before_bytes=0,
            data_before_bytes=0,
        )


class NoPeak:
    highest = SimpleNamespace(data=0, resident=0)

    def __init__(self, pid: int) -> None:
        pass

    def __enter__(self) -> NoPeak:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Worker]]:
    monkeypatch.setattr(probe, "WorkerProcess", Worker)
    monkeypatch.setattr(probe, "DataPeak", NoPeak)
    monkeypatch.setattr(Worker, "began", [])
    monkeypatch.setattr(Worker, "stopped_at", None)

    yield Worker


def expect(job: Job, budget_bytes: int) -> Expected:
    if Worker.predicted is None:
        raise UserError("nobody can")
    return Expected(limit=Worker.predicted, source="predicted", seconds=0.5)


def ready(
    budget: str, backend: str = "hf_torch", compare_finders: bool = False, task: str = "imdb"
) -> Ready:
    key = JobKey(id=f"limit-{task}-{budget}", backend=backend, task=task, question="batch_limit")
    job = Job(
        key=key,
        recipe=Recipe(),
        train=Path("train"),
        evaluations={},
        environment={},
        start=StartFile(
            folder=Path("start"),
            architecture="bert",
            label_count=2,
            vocabulary_size=100,
            max_length=512,
        ),
        time_limit_seconds=10,
        equivalence=EquivalencePlan(),
        throughput=ThroughputPlan(),
        memory=MemoryPlan(),
        predictions=Path("p.npz"),
        limit=LimitWork(
            budget=budget, phase="training", steps=3, highest=1024, compare_finders=compare_finders
        ),
    )
    data = samples.measurement("hf_torch", "imdb", "memory").data
    assert data is not None
    return Ready(
        job, data, Checkpoint(name="minilm", architecture="bert", sha256="", random=False), here()
    )


def search(
    budget: str,
    device: Device,
    taken: list[Measurement],
    backend: str = "hf_torch",
    compare_finders: bool = False,
    task: str = "imdb",
) -> Measurement:
    """The measurement; `taken` gets it as its last, as every one that is recorded on the way."""

    def keep(m: Measurement) -> None:
        taken[:] = [*(other for other in taken if other.job.id != m.job.id), m]

    keep(
        LimitJob(
            ready(budget, backend, compare_finders, task),
            Path("run"),
            device,
            watch=lambda key, event: None,
            record=keep,
            earlier=list(taken),
            expect=expect,
        ).run()
    )
    return taken[-1]


def stopped(worker: type[Worker], probe: int, budget: str, task: str = "imdb") -> list[Measurement]:
    """What is recorded of a search that was stopped at that probe."""
    taken: list[Measurement] = []
    worker.stopped_at = probe
    with pytest.raises(KeyboardInterrupt):
        search(budget, CPU, taken, task=task)
    worker.stopped_at = None
    return taken


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
    taken = stopped(worker, 3, budget)
    assert taken[0].status == "interrupted" and taken[0].batch_limit is not None
    before = taken[0].batch_limit.probes
    worker.began = []
    found = search(budget, CPU, taken).batch_limit
    assert found is not None and len(before) == 2
    assert found.probes[:2] == before
    assert worker.began == [p.batch_size for p in found.probes[2:]]
    assert (found.budget_bytes, found.limit, found.fails_at) == (GIB, 13, 14)


def test_a_prediction_saves_probes_and_is_recorded(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """A small probe, then the limit and the size above it that fails; also when resumed."""
    monkeypatch.setattr(worker, "predicted", 13)
    taken = stopped(worker, 3, "1GiB")
    monkeypatch.setattr(worker, "predicted", None)  # it is not predicted again
    found = search("1GiB", CPU, taken).batch_limit
    assert found is not None and found.expected is not None and found.notes == []
    assert [p.batch_size for p in found.probes] == [4, 13, 14]
    assert (found.expected.limit, found.expected.source) == (13, "predicted")
    assert found.seconds == found.expected.seconds + sum(p.seconds for p in found.probes)


def test_what_is_proven_on_one_task_is_expected_on_another(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """Under the same budget; under another one, the peaks of this task shape the line."""
    taken: list[Measurement] = []
    search("1GiB", CPU, taken)
    monkeypatch.setattr(worker, "predicted", 30)
    worker.began = []
    found = search("1GiB", CPU, taken, task="mnli").batch_limit
    assert found is not None and found.expected is not None
    assert found.expected.source == "the limit on imdb" and worker.began == [4, 13, 14]
    worker.began = []
    found = search("2GiB", CPU, taken, task="mnli").batch_limit
    assert found is not None and found.expected is not None
    assert found.expected.source == "predicted" and found.limit == 38
    assert worker.began[0] == 30


def test_a_resumed_search_keeps_its_expectation(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """Even if the other task's limit has been proven meanwhile."""
    monkeypatch.setattr(worker, "predicted", 13)
    taken = stopped(worker, 2, "1GiB", task="mnli")
    search("1GiB", CPU, taken)
    found = search("1GiB", CPU, taken, task="mnli").batch_limit
    assert found is not None and found.expected is not None
    assert found.expected.source == "predicted"


def test_a_comparison_of_finders_uses_no_earlier_measurement(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    monkeypatch.setattr(limit, "finder_names", lambda backend: ())
    taken: list[Measurement] = []
    search("1GiB", CPU, taken)
    worker.began = []
    found = search("1GiB", CPU, taken, task="mnli", compare_finders=True).batch_limit
    assert found is not None and found.expected is None and found.notes == [NO_EXPECTATION]
    assert worker.began[:2] == [4, 8]


def others(monkeypatch: pytest.MonkeyPatch, answers: Iterator[list[str] | None]) -> None:
    """NVML's lists of processes, one for each call; the last one repeats."""
    last: list[list[str] | None] = [[]]

    def answer() -> list[str] | None:
        last[0] = next(answers, last[0])
        return last[0]

    monkeypatch.setattr(probe, "compute_processes", answer)


def test_what_is_proven_stands_when_the_finders_are_stopped(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    def stopped(prober: probe.Prober, name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(limit, "run_finder", stopped)
    taken: list[Measurement] = []
    with pytest.raises(KeyboardInterrupt):
        search("1GiB", CPU, taken, compare_finders=True)
    assert taken[0].status == "interrupted" and taken[0].batch_limit is not None
    assert (taken[0].batch_limit.limit, taken[0].batch_limit.fails_at) == (13, 14)


def test_a_resumed_search_knows_that_its_peaks_are_counts(
    monkeypatch: pytest.MonkeyPatch, worker: type[Worker]
) -> None:
    """The line through counts is not followed as far."""
    monkeypatch.setattr(probe, "used_bytes", lambda result, held: (result.allocated_bytes, True))
    monkeypatch.setattr(worker, "each", MIB)
    taken = stopped(worker, 3, "1GiB")
    assert taken[0].batch_limit is not None and taken[0].batch_limit.peaks_are_counts
    tried = worker.began[2]
    worker.began = []
    search("1GiB", CPU, taken)
    assert worker.began[0] == tried == 40  # five times as far as the second probe


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
    monkeypatch.setattr(budgets.nvml, "free_bytes", lambda: 4 * GIB)
    found = search("device", GPU, [], backend).batch_limit
    assert found is not None and not found.emulated
    by = "the framework's own limit" if bounded else "the device"
    assert found.enforced_by == by
    reserve = 1536 * MIB if bounded else 0
    assert found.budget_bytes == 4 * GIB - GIB // 2 - reserve
    assert found.limit == 38
