"""A race: the throughput jobs of one comparison take turns, in several launches.

A launch starts one process of every participant. They live at the same time and take turns, round by
round, so that a machine that slows down slows all of them. Every other round has the reverse order,
and so has the start of every other launch, so that no place is better than another. `ftbench run`,
tuning and pytest conduct their races here.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType

from benchmarks.harness.jobs.attempt import Ready, Watch
from benchmarks.harness.jobs.events import LaunchesDone
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.launch import measurement_of_launches
from benchmarks.harness.run.participants import Participants, in_turn
from results.schema import LOOKS, Measurement, Phase

# Asked after every launch whether the race may end, with the measurements so far of all
# participants that are still in it, in their order.
Decided = Callable[[Sequence[Measurement]], bool]


class Race:
    """Launches until the plan, a decision or the time limit ends them. A context manager that leaves
    no process behind."""

    def __init__(self, folder: RunFolder, watch: Watch, decided: Decided | None = None) -> None:
        self._folder, self._watch, self._decided = folder, watch, decided
        self.participants = Participants(folder, watch)
        # Windows are only ever compared within one race: those of another one, such as before a
        # stop or in another environment, were measured at other times.
        self.name = uuid.uuid4().hex
        self._began = time.monotonic()
        self._over = False

    def run(self, jobs: Sequence[Ready], evaluation: bool = True) -> None:
        """The whole race. In every launch all rounds of training come before those of evaluation,
        which a race without `evaluation` leaves out. A job whose worker ends early leaves the race.
        """
        for launch in range(self._folder.plan.throughput.most_launches):
            if self.is_over(launch):
                break
            self._rounds(jobs, "training")
            if evaluation:
                self._rounds([ready for ready in jobs if evaluates(ready)], "evaluation")
        self.finish_all()

    def _rounds(self, jobs: Sequence[Ready], phase: Phase) -> None:
        racing = self.participants
        racing.begin_all(jobs, phase)
        for round_ in range(self._folder.plan.throughput.rounds):
            for ready in in_turn(jobs, racing.launch + round_):
                with contextlib.suppress(WorkerEnded), racing.recorded(ready):
                    racing.start(ready).take_turn(round_, phase)
            racing.settle(round_, phase)

    def is_over(self, launch: int) -> bool:
        """Ends the launch before this one. Whether the race needs no further one: it is decided, or
        the next look at its figures would come after the time limit."""
        if launch != self.participants.launch:
            self.participants.end_launch(launch)
            racing = self.measurements()
            if racing and self._decided and self._decided(racing):
                self._over = True
            self._over = self._over or self._is_out_of_time(launch)
        return self._over

    def _is_out_of_time(self, launches: int) -> bool:
        minutes = self._folder.plan.throughput.until_minutes
        if minutes is None or launches not in LOOKS[:-1]:
            return False
        following = LOOKS[LOOKS.index(launches) + 1]
        return (time.monotonic() - self._began) * following / launches > 60 * minutes

    def measurements(self) -> list[Measurement]:
        """Of the launches that are finished, for all that are still in the race."""
        racing = self.participants
        return [
            measurement_of_launches(racing.attempts[name], taken, self.name)
            for name, taken in racing.taken.items()
        ]

    def finish_all(self) -> list[WorkerEnded]:
        """Records what all that still race have measured, as far as they went. Returns what ended
        a worker only now, after its last turn."""
        racing = self.participants
        before = set(racing.ended)
        racing.end_launch(racing.launch)
        for measurement in self.measurements():
            self._folder.record(measurement)
            taken = racing.taken.pop(measurement.job.id)
            del racing.attempts[measurement.job.id]
            self._watch(measurement.job, LaunchesDone(launches=len(taken)))
        return [error for name, error in racing.ended.items() if name not in before]

    def stop(self) -> None:
        """Kills all that still race and records them as interrupted."""
        self.participants.stop()

    def __enter__(self) -> Race:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self.stop()
        for attempt in self.participants.attempts.values():
            attempt.worker.kill()


def evaluates(ready: Ready) -> bool:
    """Controls and repeats train only."""
    return ready.job.key.role == "framework"
