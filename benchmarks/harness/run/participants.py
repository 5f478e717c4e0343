"""The participants of a race: their workers are started, warmed up, given turns and ended. Whatever ends
one of them is recorded in the run's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf

from benchmarks.harness.jobs.attempt import Attempt, Ready, Watch
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.plan.sections import LENGTHENINGS
from benchmarks.harness.run.folder import RunFolder
from benchmarks.harness.run.launch import LaunchResult
from benchmarks.harness.run.participant import Participant
from results.schema import Phase


class Participants:
    """Those of the launch that runs, and what the launches before it gave."""

    def __init__(self, folder: RunFolder, watch: Watch) -> None:
        self._folder, self._watch = folder, watch
        self.launch, self._retakes = 0, 0
        self.attempts: dict[str, Attempt] = {}  # the last one of all that are not recorded yet
        self.racing: dict[str, Participant] = {}  # those of this launch
        self.taken: dict[str, list[LaunchResult]] = {}  # of the launches before
        self.ended: dict[str, WorkerEnded] = {}
        self._window_steps: dict[Phase, int] = {}  # of all, once their windows have been lengthened

    def begin_all(self, jobs: Sequence[Ready], phase: Phase) -> None:
        """Starts all participants of this launch that have not been started, ends their training before
        evaluation, and makes their windows long enough. Later launches have the first one's windows."""
        order = in_turn(jobs, self.launch)
        # They import their frameworks at the same time, of which nothing is measured. Their models
        # are built and their first steps are taken one after the other.
        for ready in order:
            with contextlib.suppress(WorkerEnded):
                self._participant(ready)
        for ready in order:
            with contextlib.suppress(WorkerEnded), self.recorded(ready):
                self._participant(ready).attempt.load()
        for ready in order:
            with contextlib.suppress(WorkerEnded):
                participant = self.start(ready)
                if phase == "evaluation":
                    participant.window_steps |= self._window_steps
                    with self.recorded(ready):
                        participant.begin_evaluation()
        names = [ready.job.key.id for ready in jobs]
        racing = [self.racing[name] for name in names if name in self.racing]
        plan = self._folder.plan.throughput
        if plan.window_seconds is not None and phase not in self._window_steps:
            self._window_steps[phase] = self._lengthened(racing, phase, plan.window_seconds)
        for participant in racing:
            participant.window_steps |= self._window_steps

    def _lengthened(self, racing: Sequence[Participant], phase: Phase, seconds: float) -> int:
        """The steps of a window that takes so long in the fastest participant. All take one such window,
        which shows whether it is long enough now."""
        plan, alive = self._folder.plan.throughput, self.racing.values()
        steps = plan.window_steps(inf, phase)
        for _ in range(LENGTHENINGS):
            known = [one.windows.step_seconds(phase) for one in racing if one in alive]
            fastest = min(known, default=seconds)
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
        participant = self._participant(ready)
        with self.recorded(ready):
            participant.start()
        return participant

    def _participant(self, ready: Ready) -> Participant:
        """The job's participant in this launch. Its worker process is started here."""
        name = ready.job.key.id
        if name in self.ended:
            raise self.ended[name]
        if name not in self.racing:
            if name in self.taken:  # the first launch has measured it
                job = ready.job.model_copy(update={"measures_matrix_rate": False})
                ready = replace(ready, job=job)
            attempt = Attempt(ready, self._folder.path, self._folder.device, self._watch)
            self.attempts[name] = attempt
            self.racing[name] = Participant(attempt, self.launch)
        return self.racing[name]

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
            participant.windows.is_disturbed(round_, phase) for participant in self.racing.values()
        ):
            self._retakes += 1
            for participant in list(self.racing.values()):
                if participant.windows.supersede(round_, phase):
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
            if self.racing.pop(name, None):
                self.ended[name] = error
                self.taken.pop(name, None)
                attempt = self.attempts.pop(name)
                self._folder.record(attempt.ended(error))
                attempt.worker.kill()
            raise

    def end_launch(self, following: int) -> None:
        """Ends the workers of this launch, before the one with the number `following`. Those that
        fail at the end are recorded."""
        for name, participant in list(self.racing.items()):
            with contextlib.suppress(WorkerEnded), self.recorded(participant.attempt.ready):
                result = participant.finish()
                del self.racing[name]
                self.taken.setdefault(name, []).append(result)
        self.launch, self._retakes = following, 0

    def stop(self) -> None:
        """Kills all that still race and records them as interrupted."""
        self.racing.clear()
        self.taken.clear()
        while self.attempts:
            _, attempt = self.attempts.popitem()
            self._folder.record(attempt.interrupted())
            attempt.worker.kill()


def in_turn(jobs: Sequence[Ready], number: int) -> Sequence[Ready]:
    """The jobs in their order, or in every other round or launch in the reverse order."""
    return jobs if number % 2 == 0 else jobs[::-1]
