"""A race: the throughput jobs of one comparison take turns, round by round, so that a machine that
slows down slows all of them. `ftbench run`, tuning and pytest conduct their races here."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from benchmarks.harness.jobs.attempt import Attempt, Ready, Watch
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.participant import Participant
from results.schema import Phase


class Race:
    """Participants that live at the same time and take turns. Whatever ends one of them is recorded
    in the run's folder. A context manager that leaves no process behind."""

    def __init__(self, folder: RunFolder, watch: Watch) -> None:
        self._folder, self._watch = folder, watch
        # Windows are only ever compared within one race: those of another one, such as before a
        # stop or in another environment, were taken at other times.
        self.name = uuid.uuid4().hex
        self._racing: dict[str, Participant] = {}
        self._ended: dict[str, WorkerEnded] = {}

    def run(
        self,
        jobs: Sequence[Ready],
        decided: Callable[[Sequence[Participant]], bool] | None = None,
    ) -> None:
        """The whole race: every round of training, then every round of evaluation. A job whose
        worker ends early leaves the race.

        `decided` is asked after every round whether the race may end. Such a race has no
        evaluation."""
        for ready in jobs:
            with contextlib.suppress(WorkerEnded):
                self.start(ready)
        self._rounds(jobs, "training", decided)
        if decided is None:
            self._rounds([ready for ready in jobs if evaluates(ready)], "evaluation", None)
        self.finish_all()

    def _rounds(
        self,
        jobs: Sequence[Ready],
        phase: Phase,
        decided: Callable[[Sequence[Participant]], bool] | None,
    ) -> None:
        for round_ in range(self._folder.plan.throughput.rounds):
            for ready in jobs:
                with contextlib.suppress(WorkerEnded), self.recorded(ready):
                    self.start(ready).take_turn(round_, phase)
            if decided is not None and decided(list(self._racing.values())):
                break

    def start(self, ready: Ready) -> Participant:
        """The job's participant, with its worker started and warmed up.

        Errors: WorkerEnded, also for every further turn of a job whose worker has ended."""
        name = ready.job.key.id
        if name in self._ended:
            raise self._ended[name]
        if name not in self._racing:
            with self.recorded(ready):
                attempt = Attempt(ready, self._folder.path, self._folder.device, self._watch)
                self._racing[name] = Participant(attempt, self.name)
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

    @contextlib.contextmanager
    def recorded(self, ready: Ready) -> Iterator[None]:
        """Records the outcome of a worker that ends inside. It leaves the race."""
        try:
            yield
        except WorkerEnded as error:
            name = ready.job.key.id
            if participant := self._racing.pop(name, None):
                self._ended[name] = error
                self._folder.record(participant.attempt.ended(error))
                participant.attempt.worker.kill()
            raise

    def finish(self, ready: Ready) -> None:
        """Ends a participant and records its measurement. Errors: WorkerEnded, recorded."""
        name = ready.job.key.id
        if name in self._racing:
            with self.recorded(ready):
                measurement = self._racing[name].finish()
                del self._racing[name]
                self._folder.record(measurement)

    def finish_all(self) -> None:
        """Ends all that still race, each measurement recorded as far as it went."""
        for participant in list(self._racing.values()):
            with contextlib.suppress(WorkerEnded):
                self.finish(participant.attempt.ready)

    def stop(self) -> None:
        """Kills all that still race and records them as interrupted."""
        while self._racing:
            _, participant = self._racing.popitem()
            self._folder.record(participant.attempt.interrupted())
            participant.attempt.worker.kill()

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
        for participant in self._racing.values():
            participant.attempt.worker.kill()


def evaluates(ready: Ready) -> bool:
    """Controls and repeats train only."""
    return ready.job.key.role == "framework"
