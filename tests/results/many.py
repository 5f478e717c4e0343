"""Many made-up runs, as a machine collects them over months."""

from __future__ import annotations

from pathlib import Path

from results import store
from results.schema import Accuracy, Memory, Question, Throughput
from tests.results import samples
from tests.results.samples import ACCURACY, SPEED, measurement

Payload = Throughput | Memory | Accuracy
QUESTIONS: tuple[Question, ...] = ("throughput", "memory", "accuracy")


def many_runs(root: Path, number: int) -> list[Path]:
    """Run folders under `root`: of each task in turn the speed, memory and accuracy of all backends,
    whose figures drift a little from run to run."""
    return [_run(root, i) for i in range(number)]


def _run(root: Path, i: int) -> Path:
    question = QUESTIONS[i % 3]
    task = ("imdb", "mnli")[i // 3 % 2]
    started = {"started_at": f"2026-{1 + i // 28 % 12:02}-{1 + i % 28:02}T10:00:00+00:00"}
    info = samples.run_info(f"run-{i:03}").model_copy(update=started)
    folder = store.create_run(root, info)
    for n, (backend, speed) in enumerate(sorted(SPEED.items())):
        payload = _payload(question, task, backend, speed * (1 + i % 7 / 100), i + n)
        m = measurement(backend, task, question, payload=payload)
        store.write_measurement(folder, m.model_copy(update=started))
    return folder


def _payload(question: Question, task: str, backend: str, rate: float, seed: int) -> Payload:
    if question == "throughput":
        return samples.throughput(rate, seed)
    if question == "memory":
        return samples.memory((1100 + seed % 40) * 1024**2)
    return samples.accuracy(task, ACCURACY[backend] - seed % 3 / 100, rate, seed)
