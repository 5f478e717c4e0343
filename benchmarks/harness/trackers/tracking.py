"""The trackers of a run: what they are sent, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Ready
from benchmarks.harness.jobs.events import Event
from benchmarks.harness.machine import packages
from benchmarks.harness.trackers import metrics
from benchmarks.harness.trackers.lines import Begin, Config, End, Line, Points
from benchmarks.harness.trackers.tracker import Tracker
from results.schema import JobKey, Measurement, TrackerOutcome

# The distributions that bring each client; any of them does.
DISTRIBUTIONS = {
    "wandb": ("wandb",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "mlflow-skinny"),
    "trackio": ("trackio",),
}


def check_installed(names: Sequence[str]) -> None:
    """Errors: UserError for a tracker whose client is not installed."""
    for name in names:
        if all(packages.version(found) is None for found in DISTRIBUTIONS[name]):
            raise UserError(
                f"--track {name}: its client is not installed: pip install -e '.[{name}]'"
            )


class Tracking:
    """Feeds every tracker of a run. Without any, nothing happens."""

    def __init__(self, names: Sequence[str], run: Path, say: Callable[[str], None]) -> None:
        """`run` is the run's folder; `say` prints a line."""
        self._names, self._run, self._say = list(dict.fromkeys(names)), run, say
        self._trackers: list[Tracker] = []
        self._training: JobKey | None = None  # that runs now
        self._evaluated = 0  # the last step of it with an evaluation

    def start(self) -> None:
        """Starts the trackers, if they are not started yet. The run's folder must exist."""
        if not self._trackers:
            self._trackers = [Tracker(name, self._run) for name in self._names]
            for tracker in self._trackers:
                tracker.wait_until_ready()
                self._say_problem(tracker)

    def begin(self, ready: Ready) -> None:
        """A job begins: trackers see trainings that are scored."""
        if ready.job.key.question == "accuracy" and self._names:
            self.start()
            self._training, self._evaluated = ready.job.key, 0
            self._send(Begin(name=ready.job.key.id, config=metrics.config(ready)))

    def watch(self, key: JobKey, event: Event) -> None:
        if key != self._training:
            return
        points = metrics.points_of(event)
        # Weights of an earlier step that are kept are evaluated again: that step is sent already.
        points = [point for point in points if point.step >= self._evaluated]
        if points:
            self._evaluated = points[-1].step
            self._send(Points(points=points))

    def end(self, m: Measurement) -> None:
        if self._training is not None and m.job == self._training:
            self._training = None
            self._send(End(failed=m.status != "ok", summary=metrics.summary(m)))
            for tracker in self._trackers:
                tracker.trainings += tracker.problem is None

    def close(self, measurements: Callable[[], Sequence[Measurement]]) -> list[TrackerOutcome]:
        """Sends the figures of the whole run, and ends the trackers."""
        if not self._names:
            return []
        self.start()
        try:
            config: Config = {"run": self._run.name}
            self._send(Begin(name=f"summary-{self._run.name}", config=config))
            self._send(End(failed=False, summary=metrics.figures(measurements())))
            for tracker in self._trackers:
                failed_before = tracker.problem is not None
                tracker.close(self._say)
                if not failed_before:
                    self._say_problem(tracker)
        finally:
            for tracker in self._trackers:
                tracker.kill()
        return [
            TrackerOutcome(tracker=one.name, trainings=one.trainings, problem=one.problem)
            for one in self._trackers
        ]

    def _send(self, line: Line) -> None:
        for tracker in self._trackers:
            if tracker.problem is None:
                tracker.send(line)
                self._say_problem(tracker)

    def _say_problem(self, tracker: Tracker) -> None:
        if tracker.problem:
            self._say(
                f"{tracker.name} stopped tracking, no measurement is affected: {tracker.problem}"
            )
