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
from collections.abc import Callable, Iterator, Sequence
from math import inf
from types import TracebackType

from benchmarks.harness.jobs.attempt import Attempt, Ready, Watch
from benchmarks.harness.jobs.events import LaunchesDone
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.plan.sections import LENGTHENINGS
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.launch import LaunchResult, measurement_of_launches
from benchmarks.harness.run.participant import Participant
from results.schema import LOOKS, Measurement, Phase

# Asked after every launch whether the race may end, with the measurements so far of all
# participants that are still in it, in their order.
Decided = Callable[[Sequence[Measurement]], bool]


class Race:
    """Participants that take turns. Whatever ends one of them is recorded in the run's folder. A
    context manager that leaves no process behind."""

    def __init__(self, folder: RunFolder, watch: Watch, decided: Decided | None = None) -> None:
        self._folder, self._watch, self._decided = folder, watch, decided
        # Windows are only ever compared within one race: those of another one, such as before a
        # stop or in another environment, were measured at other times.
        self.name = uuid.uuid4().hex
        self._began = time.monotonic()
        self._launch, self._retakes, self._over = 0, 0, False
        self._attempts: dict[str, Attempt] = {}  # the last one of all that are not recorded yet
        self._racing: dict[str, Participant] = {}  # those of this launch
        self._window_steps: dict[Phase, int] = {}  # of all, once their windows have been lengthened
        self._taken: dict[str, list[LaunchResult]] = {}  # of the launches before
        self._ended: dict[str, WorkerEnded] = {}

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
        self.begin_all(jobs, phase)
        for round_ in range(self._folder.plan.throughput.rounds):
            for ready in in_turn(jobs, self._launch + round_):
                with contextlib.suppress(WorkerEnded), self.recorded(ready):
                    self.start(ready).take_turn(round_, phase)
            self.settle(round_, phase)

    def is_over(self, launch: int) -> bool:
        """Ends the launch before this one. Whether the race needs no further one: it is decided, or
        the next look at its figures would come after the time limit."""
        if launch != self._launch:
            self._end_launch()
            self._launch, self._retakes = launch, 0
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
        return [
            measurement_of_launches(self._attempts[name], taken, self.name)
            for name, taken in self._taken.items()
        ]

    def begin_all(self, jobs: Sequence[Ready], phase: Phase) -> None:
        """Starts all participants of this launch that have not been started, ends their training before
        evaluation, and makes their windows long enough. Later launches have the first one's windows."""
        for ready in in_turn(jobs, self._launch):
            with contextlib.suppress(WorkerEnded):
                participant = self.start(ready)
                if phase == "evaluation":
                    participant.window_steps |= self._window_steps
                    with self.recorded(ready):
                        participant.begin_evaluation()
        names = [ready.job.key.id for ready in jobs]
        racing = [self._racing[name] for name in names if name in self._racing]
        plan = self._folder.plan.throughput
        if plan.window_seconds is not None and phase not in self._window_steps:
            self._window_steps[phase] = self._lengthened(racing, phase, plan.window_seconds)
        for participant in racing:
            participant.window_steps |= self._window_steps

    def _lengthened(self, racing: Sequence[Participant], phase: Phase, seconds: float) -> int:
        """The steps of a window that takes so long in the fastest participant. All take one such window,
        which shows whether it is long enough now."""
        plan, alive = self._folder.plan.throughput, self._racing.values()
        steps = plan.window_steps(inf, phase)
        for _ in range(LENGTHENINGS):
            fastest = min((one.step_seconds() for one in racing if one in alive), default=seconds)
            if steps * fastest >= seconds or steps == plan.window_steps(0, phase):
                break
            steps = plan.window_steps(fastest, phase)
            for one in [one for one in racing if one in alive]:
                with contextlib.suppress(WorkerEnded), self.recorded(one.attempt.ready):
                    one.warm_up(steps)
        return steps

    def start(self, ready: Ready) -> Participant:
        """The job's participant in this launch, with its worker started and warmed up.

        Errors: WorkerEnded, also for every further turn of a job whose worker has ended."""
        name = ready.job.key.id
        if name in self._ended:
            raise self._ended[name]
        if name not in self._racing:
            with self.recorded(ready):
                attempt = Attempt(ready, self._folder.path, self._folder.device, self._watch)
                self._attempts[name] = attempt
                self._racing[name] = Participant(attempt, self._launch)
                self._racing[name].start()
        return self._racing[name]

    @contextlib.contextmanager
    def turn(self, ready: Ready, round_: int, phase: Phase) -> Iterator[Participant]:
        """One participant's turn, whose windows the caller takes.

        Errors: WorkerEnded, after it was recorded; TrainingIsOver."""
        participant = self.start(ready)
        with self.recorded(ready):
            participant.begin_turn(round_, phase)
            yield participant
            participant.end_turn()

    def settle(self, round_: int, phase: Phase) -> None:
        """Takes a round again in which a participant was disturbed, for all of them: as the load
        says it, never the figure, so that nothing is selected. At most `retakes` times a launch."""
        while self._retakes < self._folder.plan.throughput.retakes and any(
            participant.is_disturbed(round_, phase) for participant in self._racing.values()
        ):
            self._retakes += 1
            for participant in list(self._racing.values()):
                if participant.supersede(round_, phase):
                    with (
                        contextlib.suppress(WorkerEnded),
                        self.recorded(participant.attempt.ready),
                    ):
                        participant.take_turn(round_, phase)

    @contextlib.contextmanager
    def recorded(self, ready: Ready) -> Iterator[None]:
        """Records the outcome of a worker that ends inside. It leaves the race."""
        try:
            yield
        except WorkerEnded as error:
            name = ready.job.key.id
            if self._racing.pop(name, None):
                self._ended[name] = error
                self._taken.pop(name, None)
                attempt = self._attempts.pop(name)
                self._folder.record(attempt.ended(error))
                attempt.worker.kill()
            raise

    def _end_launch(self) -> None:
        """Ends the workers of this launch. Those that fail at the end are recorded."""
        for name, participant in list(self._racing.items()):
            with contextlib.suppress(WorkerEnded), self.recorded(participant.attempt.ready):
                result = participant.finish()
                del self._racing[name]
                self._taken.setdefault(name, []).append(result)

    def finish_all(self) -> list[WorkerEnded]:
        """Records what all that still race have measured, as far as they went. Returns what ended
        a worker only now, after its last turn."""
        before = set(self._ended)
        self._end_launch()
        for measurement in self.measurements():
            self._folder.record(measurement)
            taken = self._taken.pop(measurement.job.id)
            del self._attempts[measurement.job.id]
            self._watch(measurement.job, LaunchesDone(launches=len(taken)))
        return [error for name, error in self._ended.items() if name not in before]

    def stop(self) -> None:
        """Kills all that still race and records them as interrupted."""
        self._racing.clear()
        self._taken.clear()
        while self._attempts:
            _, attempt = self._attempts.popitem()
            self._folder.record(attempt.interrupted())
            attempt.worker.kill()

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
        for attempt in self._attempts.values():
            attempt.worker.kill()


def in_turn(jobs: Sequence[Ready], number: int) -> Sequence[Ready]:
    """The jobs in their order, or in every other round or launch in the reverse order."""
    return jobs if number % 2 == 0 else jobs[::-1]


def evaluates(ready: Ready) -> bool:
    """Controls and repeats train only."""
    return ready.job.key.role == "framework"
