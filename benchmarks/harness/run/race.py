"""A race: the throughput jobs of one comparison take turns."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from benchmarks.harness.jobs.attempt import Attempt
from benchmarks.harness.jobs.events import (
    ThroughputResult,
    TrainingEnded,
    WaitingForWindow,
    WindowEnded,
)
from benchmarks.harness.jobs.process import WorkerProcess
from benchmarks.harness.machine import load
from benchmarks.harness.machine.nvml import GpuState, NoGpu, NvmlFailed, gpu_state
from results.schema import (
    Measurement,
    Throughput,
    Window,
)


def new_race() -> str:
    """A name for all that take turns with one another, so that no windows are ever paired that
    were taken at other times, such as in another environment or before a stop."""
    return uuid.uuid4().hex


class SpeedJob:
    """A throughput job that takes turns: its worker lives from `start` to `finish` and waits
    between windows inside its framework's training loop, using no processor time."""

    def __init__(self, attempt: Attempt, race: str) -> None:
        self.attempt, self.race, self.round = attempt, race, 0
        self._warmup: list[Window] = []
        self._windows: list[Window] = []
        self._evaluation_warmup: list[Window] = []
        self._evaluation: list[Window] = []
        self._open: list[Window] | None = None  # whose last window has no load yet
        self._marked: load.Reading | None = None
        self._idle_since: float | None = None

    def start(self) -> None:
        """Until the first step and the warm-up windows are done."""
        self.attempt.worker.expect(WaitingForWindow)
        for _ in range(self.attempt.ready.job.throughput.warmup_windows):
            self._warmup.append(self.window())
        self._idle_since = time.monotonic()

    @property
    def evaluates(self) -> bool:
        return self.attempt.ready.job.key.role == "framework"

    def window(self) -> Window:
        """One window: 'go', then its synchronised end, by this process's clock."""
        worker = self.attempt.worker
        began = time.perf_counter()
        worker.go()
        ended = worker.expect(WindowEnded)
        seconds = time.perf_counter() - began
        return Window(seconds=seconds, round=self.round, **ended.model_dump(exclude={"event"}))

    def mark(self) -> None:
        """Reads the machine's counters, outside of any window: call it before each window and
        after a turn's last. The window that lies between two marks gets what they differ by."""
        reading = load.read(self.attempt.worker.pid, gpu=self._gpu())
        if self._marked is not None and self._open is not None:
            windows = self._open
            windows[-1] = windows[-1].model_copy(
                update={"load": load.between(self._marked, reading)}
            )
        self._marked, self._open = reading, None

    def _gpu(self) -> GpuState | None:
        """None on a CPU, and where the driver does not tell: such a window is not flagged, and
        its fields stay empty."""
        if self.attempt.device.kind == "cpu":
            return None
        try:
            return gpu_state(own_processes=len(WorkerProcess.alive))
        except (NoGpu, NvmlFailed):
            return None

    def end_turn(self) -> None:
        """The other backends' turns count neither as this one's load nor as its time."""
        self.mark()
        self._marked, self._idle_since = None, time.monotonic()

    def begin_turn(self, round_: int) -> None:
        self.round = round_
        if self._idle_since is not None:
            self.attempt.worker.extend(time.monotonic() - self._idle_since)
            self._idle_since = None

    def training_window(self) -> None:
        self._windows.append(self.window())
        self._open = self._windows

    def warm_up_evaluation(self) -> None:
        """The first evaluation window may compile; it is kept apart."""
        if not self._evaluation_warmup:
            self.attempt.worker.send("evaluate")
            self.attempt.worker.expect(TrainingEnded)
            self._evaluation_warmup.append(self.window())

    def evaluation_window(self) -> None:
        self._evaluation.append(self.window())
        self._open = self._evaluation

    def retime(self, seconds: list[float]) -> None:
        """Puts the readings of another clock, pytest-benchmark's, into the last training
        windows, so that its table and ours say the same."""
        last = self._windows[-len(seconds) :]
        self._windows[-len(seconds) :] = [
            window.model_copy(update={"seconds": value})
            for window, value in zip(last, seconds, strict=True)
        ]

    @property
    def windows(self) -> list[Window]:
        """The training windows until now."""
        return list(self._windows)

    def figures(self) -> dict[str, Any]:
        """Steps, examples and tokens per second of this round, for pytest-benchmark's JSON."""
        windows = [w for w in self._evaluation or self._windows if w.round == self.round]
        return {
            f"{unit}_per_second": statistics.median(getattr(w, unit) / w.seconds for w in windows)
            for unit in ("steps", "examples", "tokens")
        }

    def finish(self) -> Measurement:
        """Ends the worker, also one that still waits for windows that nobody asked for."""
        self.attempt.worker.send("stop")
        result = self.attempt.worker.expect(ThroughputResult)
        self.attempt.worker.close()
        throughput = Throughput(
            build_seconds=result.build_seconds,
            first_step_seconds=result.first_step_seconds,
            warmup=self._warmup,
            windows=self._windows,
            evaluation_warmup=self._evaluation_warmup,
            evaluation_windows=self._evaluation,
            race=self.race,
            model_flops_per_token=result.model_flops_per_token,
            matmul_flops_per_second=result.matmul_flops_per_second,
        )
        return self.attempt.measurement("ok", payload=throughput, effective=result.effective)


def take_turns(
    each: Callable[[Callable[[SpeedJob], object]], None],
    rounds: int,
    windows: int,
    window: Callable[[SpeedJob], None],
    decided: Callable[[], bool] = lambda: False,
) -> None:
    """Round by round, every job in turn takes its windows, until it is decided."""
    for round_ in range(rounds):

        def turn(job: SpeedJob, round_: int = round_) -> None:
            if window is SpeedJob.evaluation_window and not job.evaluates:
                return
            job.begin_turn(round_)
            if window is SpeedJob.evaluation_window:
                job.warm_up_evaluation()
            for _ in range(windows):
                job.mark()
                window(job)
            job.end_turn()

        each(turn)
        if decided():
            return
