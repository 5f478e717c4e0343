"""Shows how a run goes: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from benchmarks.harness.errors import printable
from benchmarks.harness.jobs.attempt import Ready
from benchmarks.harness.jobs.events import (
    Building,
    EvaluationBegan,
    Event,
    LaunchesDone,
    LimitFound,
    ModelSaved,
    ProbeEnded,
    Result,
    ThroughputResult,
    TrainingNote,
    TrainingProgress,
    WindowEnded,
    WorkerFailed,
)
from results.schema import JobKey

PLAIN_SECONDS = 30.0  # between two plain lines of one job


class Display:
    """Which job, which step, steps/s, loss and time left. A context manager."""

    def __init__(self, total_jobs: int, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True)
        self._live = self._console.is_terminal
        self._total, self._done = total_jobs, 0
        self._bars: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        self._console.print(printable(line), markup=False, highlight=False)

    def begin(self, ready: Ready) -> None:
        if ready.job.key.question == "throughput":
            self.say(f"throughput on {ready.job.key.task}: backends take turns")

    def watch(self, key: JobKey, event: Event) -> None:
        """Shows any worker's event."""
        if isinstance(event, Building):
            self.say(f"{key.id}: building the model")
        elif isinstance(event, TrainingProgress):
            rate = event.step / max(1e-9, event.seconds)
            note = f"{rate:.2f} steps/s  loss {event.loss:.4f}"
            self._advance(key.id, event.step, event.total, note, (event.total - event.step) / rate)
        elif isinstance(event, EvaluationBegan):
            self.say(f"{key.id}: evaluating {event.evaluation_set} ({event.examples:,} examples)")
        elif isinstance(event, WindowEnded):
            rate = event.steps / event.worker_seconds
            evaluates = event.phase == "evaluation"
            note = f"evaluation {rate:.2f} batches/s" if evaluates else f"{rate:.2f} steps/s"
            self._window(key.id, note)
        elif isinstance(event, WorkerFailed):
            self._end(key.id, f"{event.status}: {event.reason}")
        elif isinstance(event, ThroughputResult):
            self._remove_bar(key.id)  # of a launch; more may follow
        elif isinstance(event, LaunchesDone):
            launches = f"{event.launches} launches" if event.launches > 1 else "one launch"
            self._end(key.id, f"done, {launches}")
        elif isinstance(event, Result):
            self._end(key.id, "done")
        elif isinstance(event, LimitFound):
            self._end(key.id, event.text)
        elif isinstance(event, (ProbeEnded, ModelSaved, TrainingNote)):
            self.say(f"{key.id}: {event.text}")

    def _advance(self, job: str, done: int, total: int, note: str, seconds_left: float) -> None:
        if self._live:
            bar = self._bars.get(job)
            if bar is None:
                bar = self._bars[job] = self._progress.add_task(job, total=total, note="")
            self._progress.update(bar, completed=done, total=total, note=note)
        elif self._is_time(job):
            self.say(f"{job}: step {done} of {total}  {note}  {duration(seconds_left)} left")

    def _window(self, job: str, note: str) -> None:
        """How many windows a worker takes is not known here, so no time is left to show."""
        if self._live:
            bar = self._bars.get(job)
            if bar is None:
                bar = self._bars[job] = self._progress.add_task(job, total=None, note="")
            self._progress.update(bar, advance=1, note=note)
        elif self._is_time(job):
            self.say(f"{job}: {note}")

    def _is_time(self, job: str) -> bool:
        """Whether a job's next plain line is due."""
        due = time.monotonic() - self._last_line.get(job, float("-inf")) > PLAIN_SECONDS
        if due:
            self._last_line[job] = time.monotonic()
        return due

    def _remove_bar(self, job: str) -> None:
        bar = self._bars.pop(job, None)
        if bar is not None:
            self._progress.remove_task(bar)

    def _end(self, job: str, outcome: str) -> None:
        self._remove_bar(job)
        self._done += 1
        self.say(f"[{self._done}/{self._total}] {job}: {outcome}")


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
