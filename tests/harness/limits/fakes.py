"""A fake worker whose memory is a straight line, and a search with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Ready, here
from benchmarks.harness.jobs.events import Event, FrameworkLoaded, ProbeResult, ProbeStepsDone
from benchmarks.harness.jobs.job import Job, LimitWork, StartFile
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.limits.limit import LimitJob
from benchmarks.harness.plan.sections import EquivalencePlan, MemoryPlan, ThroughputPlan
from frameworks.contract import Recipe
from results.schema import Checkpoint, Device, Expected, JobKey, Measurement
from tests.results import samples

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
        device=GPU,
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
    recorded: list[Measurement],
    backend: str = "hf_torch",
    compare_finders: bool = False,
    task: str = "imdb",
) -> Measurement:
    """The measurement; `recorded` gets it as its last, as every one that is recorded on the way."""

    def keep(m: Measurement) -> None:
        recorded[:] = [*(other for other in recorded if other.job.id != m.job.id), m]

    keep(
        LimitJob(
            ready(budget, backend, compare_finders, task),
            Path("run"),
            device,
            watch=lambda key, event: None,
            record=keep,
            earlier=list(recorded),
            expect=expect,
        ).run()
    )
    return recorded[-1]


def stopped(worker: type[Worker], probe: int, budget: str, task: str = "imdb") -> list[Measurement]:
    """What is recorded of a search that was stopped at that probe."""
    recorded: list[Measurement] = []
    worker.stopped_at = probe
    with pytest.raises(KeyboardInterrupt):
        search(budget, CPU, recorded, task=task)
    worker.stopped_at = None
    return recorded
