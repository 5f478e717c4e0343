"""One participant of a race: a worker that trains for a window at every `go`."""

from __future__ import annotations

import time

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
from benchmarks.harness.run.launch import LaunchResult
from benchmarks.harness.run.windows import Windows
from results.schema import Phase, Window


class TrainingIsOver(Exception):
    """A training window was asked for after the first evaluation window."""


class Participant:
    """A throughput job's worker in one launch. It lives from `start` to `finish`. Between windows it
    waits inside its framework's training loop and uses no processor time."""

    def __init__(self, attempt: Attempt, launch: int = 0) -> None:
        self.attempt, self.launch, self.round = attempt, launch, 0
        self.phase: Phase = "training"
        self.window_steps: dict[Phase, int] = {}  # of windows that are longer than the job says
        self.windows = Windows()
        self._load = LoadMeter(attempt)
        self._idle_since: float | None = time.monotonic()  # others import their frameworks too
        self._started = False

    def start(self) -> None:
        """Waits until the model is built and the first step and the warm-up windows are done."""
        if self._started:
            return
        self.attempt.load()
        self._resume()
        self.attempt.worker.go()
        self.attempt.worker.expect(WaitingForWindow)
        for _ in range(self.attempt.ready.job.throughput.warmup_windows):
            self.windows.warmup["training"].append(self._take_window())
        self._started = True
        self._idle_since = time.monotonic()

    def warm_up(self, window_steps: int) -> None:
        """Sets the steps of this phase's windows to come, and takes one that does not count."""
        self.window_steps[self.phase] = window_steps
        self._resume()
        self.windows.warmup[self.phase].append(self._take_window())
        self._idle_since = time.monotonic()

    def _resume(self) -> None:
        """The time in which this one waited for others does not count against its limit."""
        if self._idle_since is not None:
            self.attempt.worker.extend(time.monotonic() - self._idle_since)
            self._idle_since = None

    def begin_evaluation(self) -> None:
        """Ends the training, unless that was done, and takes a window that does not count: the framework
        may compile for it."""
        if self.phase == "evaluation":
            return
        self._resume()
        self.phase = "evaluation"
        self.attempt.worker.send("evaluate")
        self.attempt.worker.expect(TrainingEnded)
        self.windows.warmup["evaluation"].append(self._take_window())
        self._idle_since = time.monotonic()

    def begin_turn(self, round_: int, phase: Phase) -> None:
        """Errors: TrainingIsOver for training after evaluation."""
        if phase == "training" and self.phase == "evaluation":
            raise TrainingIsOver("the training loop ended when the first evaluation window began")
        if phase == "evaluation":
            self.begin_evaluation()
        self._resume()
        self.round = round_

    def end_turn(self) -> None:
        """The other participants' turns count neither as this one's load nor as its time."""
        self._load.mark()
        self._load.pause()
        self._idle_since = time.monotonic()

    def take_turn(self, round_: int, phase: Phase) -> None:
        """All windows of one round."""
        plan = self.attempt.ready.job.throughput
        self.begin_turn(round_, phase)
        for _ in range(plan.windows if phase == "training" else plan.evaluation_windows):
            self.mark()
            self.window()
        self.end_turn()

    def mark(self) -> None:
        """Reads the machine's load. Call it before each window."""
        self._load.mark()

    def window(self) -> None:
        """One window, from 'go' to its synchronised end, by this process's clock."""
        windows = self.windows.timed[self.phase]
        windows.append(self._take_window())
        self._load.measure_last_of(windows)

    def _take_window(self) -> Window:
        worker = self.attempt.worker
        began = time.perf_counter()
        worker.go(self.window_steps.get(self.phase))
        ended = worker.expect(WindowEnded, but_not=TrainingEnded)
        seconds = time.perf_counter() - began
        return Window(
            seconds=seconds,
            launch=self.launch,
            round=self.round,
            **ended.model_dump(exclude={"event", "phase"}),
        )

    def finish(self) -> LaunchResult:
        """Ends the worker, however many windows it took."""
        self.attempt.worker.send("stop")
        result = self.attempt.worker.expect(ThroughputResult)
        self.attempt.worker.close()
        seconds = self.attempt.seconds
        started_at = self.attempt.started_at
        windows = self.windows
        return LaunchResult(self.launch, started_at, seconds, windows.warmup, windows.timed, result)


class LoadMeter:
    """Reads the machine's counters outside of windows, and adds to each window what changed between
    the readings on either side of it."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._last: load.Reading | None = None
        self._windows: list[Window] | None = None  # whose last window has no load yet

    def measure_last_of(self, windows: list[Window]) -> None:
        self._windows = windows

    def mark(self) -> None:
        reading = load.read(self._attempt.worker.pid, gpu=self._gpu())
        if self._last is not None and self._windows:
            measured = load.between(self._last, reading)
            self._windows[-1] = self._windows[-1].model_copy(update={"load": measured})
        self._last, self._windows = reading, None

    def pause(self) -> None:
        """The next window begins after another reading."""
        self._last = None

    def _gpu(self) -> GpuState | None:
        """None on a CPU, and where the driver does not tell: such a window is not flagged, and
        its fields stay empty."""
        if self._attempt.device.kind == "cpu":
            return None
        try:
            return gpu_state(own_processes=len(WorkerProcess.alive))
        except (NoGpu, NvmlFailed):
            return None
