"""Trials: a race of two candidates, or the trainings of one. What an earlier call recorded of the same
work is used again, so that a stopped tuning can be resumed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.jobs.attempt import Excluded, Ready, excluded_measurement
from benchmarks.harness.jobs.environment import worker_environment
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.plan.plan import JobSpec
from benchmarks.harness.run.folder import SETTLED
from benchmarks.harness.run.race import Decided
from benchmarks.harness.run.run import Run
from benchmarks.harness.tune.judge import gain_of, second_has_lost
from benchmarks.harness.tune.levers import Candidate
from results.analysis.conditions import conditions, unequal_text
from results.analysis.speed import Ratio
from results.analysis.verdict import is_faster, rival
from results.schema import JobKey, Measurement, Question, Throughput

PLAIN = Candidate()


@dataclass(frozen=True)
class Trial:
    """What a race of two candidates gave."""

    sides: tuple[Measurement, ...] = ()
    gain: Ratio | None = None  # examples per second of the second over the first's
    reason: str | None = None  # why there is no gain, or no interval of it

    @property
    def speeds(self) -> list[Throughput]:
        return [m.throughput for m in self.sides if m.throughput]

    def interval(self, tried: int = 1) -> tuple[float | None, float | None]:
        """The lower and upper end of the gain's interval, where so many levers are tried. A race
        that ended early has none: its gain is too low."""
        interval = rival("", self.gain, tried).interval if self.gain and not self.reason else None
        return (interval.low, interval.high) if interval else (None, None)

    def counts(self, tried: int = 1) -> bool:
        """Whether the second is shown to be faster, where so many levers are tried."""
        return not self.reason and is_faster(self.gain, tried)

    @property
    def text(self) -> str:
        words = [] if self.gain is None else [f"{self.gain.value:.2f}x"]
        return ", ".join([*words, *([self.reason] if self.reason else [])])


class Trials:
    """Runs candidates of one backend on one task in a run of their own."""

    def __init__(self, run: Run) -> None:
        self._run, self._folder = run, run.folder
        self.plain = run.folder.plan.jobs[0]
        self._races = 0

    def reason_against_racing(self, candidate: Candidate = PLAIN) -> str | None:
        """Why a candidate cannot be raced here; None if it can.

        Errors: UserError for whatever is wrong with checkpoint, data or recipe."""
        _, excluded = self._prepare([self._race_job("plain", candidate)])
        return (excluded.reason or _words(excluded.status)) if excluded else None

    def race(
        self,
        label: str,
        first: Candidate,
        second: Candidate,
        decided: Decided = second_has_lost,
    ) -> Trial:
        """Races two candidates; `label` names the race's files. `decided` is asked after every
        launch whether the race may end."""
        self._races += 1
        name = f"{self._races:02}_{file_word(label)}"
        specs = [self._race_job(f"{name}-first", first), self._race_job(f"{name}-second", second)]
        sides = self._recorded(specs)
        if not raced_together(sides):
            jobs, excluded = self._prepare(specs)
            if excluded:
                return Trial(reason=f"{_words(excluded.status)}: {excluded.reason}")
            self._run.race(jobs, decided, evaluation=False)
            sides = self._recorded(specs)
        return trial_of(sides, self._folder.plan.throughput.launches)

    def train(self, candidate: Candidate) -> list[Measurement]:
        """Trains a candidate once per seed, up to the first training that gives no accuracy."""
        trained: list[Measurement] = []
        suffix = f"-tuned_{len(candidate.levers)}" if candidate.levers else ""
        for plain in self._folder.plan.jobs:
            spec = self._job(plain, "accuracy", plain.key.id + suffix, candidate)
            trained.append(self._train_once(spec))
            if trained[-1].status != "ok":
                break
        return trained

    def _train_once(self, spec: JobSpec) -> Measurement:
        recorded = self._recorded([spec])
        if recorded and recorded[0].status in SETTLED:
            return recorded[0]
        jobs, excluded = self._prepare([spec])
        if excluded:
            return excluded_measurement(excluded, self._folder.device)
        with contextlib.suppress(WorkerEnded):  # recorded
            self._run.measure(jobs[0])
        return self._recorded([spec])[0]

    def _recorded(self, specs: Sequence[JobSpec]) -> list[Measurement]:
        """The measurements of exactly this work, in its order. After a stop, another candidate's
        may lie under the same name."""
        recorded = {m.job.id: m for m in self._folder.measurements()}
        folder = self._folder
        around = worker_environment(self.plain.key.backend, folder.device, folder.plan.threads)
        return [
            m
            for spec in specs
            if (m := recorded.get(spec.key.id))
            and m.recipe == spec.recipe.model_dump()
            and m.environment == around | spec.environment
        ]

    def _race_job(self, label: str, candidate: Candidate) -> JobSpec:
        """One side of a race: the recipe, for as many steps as a race takes."""
        key = self.plain.key
        return self._job(
            self.plain,
            "throughput",
            f"throughput-{key.task}-{key.backend}-{label}",
            candidate,
            steps=self._folder.plan.throughput.training_steps,
            evaluation_interval=0,
            keep_best=None,
            patience=0,
        )

    def _job(
        self, plain: JobSpec, question: Question, name: str, candidate: Candidate, **changes: Any
    ) -> JobSpec:
        return JobSpec(
            key=JobKey(id=name, backend=plain.key.backend, task=plain.key.task, question=question),
            recipe=candidate.recipe(plain.recipe).model_copy(update=changes),
            environment=plain.environment | candidate.environment,
        )

    def _prepare(self, specs: list[JobSpec]) -> tuple[list[Ready], Excluded | None]:
        """The jobs, or the first of them that cannot run here."""
        jobs = []
        for outcome in self._run.prepare(specs).values():
            if isinstance(outcome, Excluded):
                return [], outcome
            jobs.append(outcome)
        return jobs, None


def raced_together(sides: Sequence[Measurement]) -> bool:
    """Whether both sides of a race are settled and raced each other: a stop may have left one side
    of an earlier race."""
    races = {m.throughput.race if m.throughput else None for m in sides}
    return len(sides) == 2 and all(m.status in SETTLED for m in sides) and len(races) == 1


def trial_of(sides: Sequence[Measurement], launches: int) -> Trial:
    """The gain of the second side, or why there is none; `launches` are those of a race that was
    not ended early."""
    trial = Trial(tuple(sides))
    if len(trial.speeds) < 2:
        failed = next(m for m in reversed(sides) if m.throughput is None)
        whose = "" if failed is sides[1] else "the recipe that it raced against "
        return Trial(trial.sides, reason=f"{whose}{_words(failed.status)}: {failed.reason}")
    same_variables = sides[0].environment == sides[1].environment  # else they differ on purpose
    if same_variables:
        known = {name: conditions([m]) for name, m in zip(("first", "second"), sides, strict=True)}
        if text := unequal_text(known):
            return Trial(trial.sides, reason=f"the two computed {text}")
    first, second = trial.speeds
    taken = len(first.launches)
    reason = f"slower, ended after {taken} of {launches} launches" if taken < launches else None
    return Trial(trial.sides, gain_of(first, second), reason)


def _words(status: str) -> str:
    return status.replace("_", " ")


def file_word(text: str) -> str:
    """The text with '_' for all but letters and digits, for a file's name."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in text)
