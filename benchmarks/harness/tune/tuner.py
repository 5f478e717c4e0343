"""The fastest recipe that still holds the accuracy of the plain one, found by measurement.

The plain recipe is raced against itself first: how far it differs from itself is the noise floor.
Then each lever that the backend has is raced against it, the two taking turns on the same machine;
a race ends early where the lever was slower in every round. Those that gained are put together, the
largest first, each raced against the best so far. A gain counts when its interval lies above 1 and
the gain above the noise floor.

What was put together is judged as a whole: it is raced against the plain recipe once more, and
both are trained as the accuracy question trains them. Where the whole gain does not count, its
best lever is judged alone; where the accuracy does not hold, or the training does not end well,
the lever that changes the arithmetic most is dropped and the rest is judged again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.attempt import Excluded, Ready, excluded_measurement
from benchmarks.harness.jobs.environment import worker_environment
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.plan.plan import JobSpec, Plan
from benchmarks.harness.run.folder import SETTLED
from benchmarks.harness.run.participant import Participant
from benchmarks.harness.run.run import Run
from benchmarks.harness.tune.judge import (
    compare_accuracy,
    counts,
    floor,
    gain_of,
    left,
    lost,
    matmul_share,
    rounds,
)
from benchmarks.harness.tune.levers import Candidate, Lever, levers
from benchmarks.harness.tune.trial import Race, ends, plain_word
from frameworks.contract import backends
from results.analysis.statistics import FEWEST
from results.schema import (
    JobKey,
    Measurement,
    Question,
    Tuning,
    TuningAccuracy,
    TuningDropped,
    TuningStep,
)

PLAIN = Candidate()


class NoWinner(Exception):
    """The plain recipe did not show what all others are judged by; why, in one line."""


def plan_for(plan: Plan, say: Callable[[str], None]) -> Plan:
    """The plan that tuning starts from, of one that asks for accuracy: its jobs are the trainings
    of the plain recipe, one per seed, and its races have rounds enough for an interval."""
    speed = plan.throughput
    if speed.rounds >= FEWEST:
        return plan
    say(f"{FEWEST} rounds a race, not the profile's {speed.rounds}: fewer give no interval")
    return plan.model_copy(update={"throughput": speed.model_copy(update={"rounds": FEWEST})})


class Tuner:
    """One backend on one task, in a run of its own."""

    def __init__(self, run: Run, say: Callable[[str], None]) -> None:
        self.run, self.folder, self._say = run, run.folder, say
        self._plain = run.folder.plan.jobs[0]
        self._races, self._floor = 0, 0.0
        self._steps: list[TuningStep] = []
        self._dropped: list[TuningDropped] = []
        self._no_accuracy: str | None = None

    def check(self) -> None:
        """Before the run's folder is made. Errors: UserError where the plain recipe cannot run."""
        _, excluded = self._prepared([self._racing("plain", PLAIN)])
        if excluded:
            raise UserError(f"{self._plain.key.backend} cannot be tuned here: {excluded.reason}")

    def tune(self) -> Tuning:
        """Errors: NoWinner where the plain recipe cannot be raced or trained; UserError."""
        noise = self._noise()
        winner, total, accuracy = self._judge(self._together(self._alone(noise)))
        low, high = ends(total.gain if total else None)
        key = self._plain.key
        return Tuning(
            backend=key.backend,
            task=key.task,
            plain_recipe=self._plain.recipe.model_dump(),
            levers=[lever.name for lever in winner.levers],
            tuned_fields=winner.fields,
            tuned_environment=self._plain.environment | winner.environment,
            steps=self._steps,
            dropped=self._dropped,
            gain=total.gain.value if total and total.gain else None,
            gain_low=low,
            gain_high=high,
            accuracy=accuracy,
            no_accuracy=self._no_accuracy,
            plain_matmul_share=matmul_share(noise.speeds[0]),
            tuned_matmul_share=matmul_share(total.speeds[1]) if total else None,
        )

    def _noise(self) -> Race:
        """The plain recipe against itself. Errors: NoWinner without an interval."""
        noise = self._race("again", PLAIN, PLAIN, left)
        self._note("plain, again", "plain", noise, False)
        found = floor(noise.gain)
        if found is None:
            raise NoWinner(
                "the plain recipe's race against itself gave no noise floor to judge a "
                f"gain by: {noise.shown}"
            )
        self._floor = found
        return noise

    def _alone(self, noise: Race) -> list[Lever]:
        """Levers that gain by themselves, the largest gain first."""
        gains = []
        in_force = (noise.sides[0].effective or {}).get("attention")
        variables = backends()[self._plain.key.backend].thread_variables
        for lever in levers(self._plain.recipe, self.folder.device, variables):
            if in_force and lever.fields == {"attention": in_force}:
                continue  # what the framework does anyway
            race = self._race(lever.name, PLAIN, Candidate((lever,)))
            if self._note(lever.name, "plain", race) and race.gain:
                gains.append((race.gain.value, lever))
        return [lever for _, lever in sorted(gains, key=lambda pair: -pair[0])]

    def _together(self, gained: Sequence[Lever]) -> Candidate:
        best = PLAIN
        for lever in gained:
            if not best.levers:
                best = best.plus(lever)
            elif not best.differs_where(lever):
                race = self._race(f"with-{lever.name}", best, best.plus(lever))
                best = best.plus(lever) if self._note(lever.name, best.name, race) else best
        return best

    def _judge(self, best: Candidate) -> tuple[Candidate, Race | None, TuningAccuracy | None]:
        """The winner, its race against the plain recipe and its accuracy."""
        while best.levers:
            total = self._race("all", PLAIN, best)
            if not self._note(f"all kept: {best.name}", "plain", total):
                what = "" if total.gain is None else ", no gain beyond the noise"
                best = self._drop(
                    best,
                    best.best_alone,
                    f"{best.name} against plain, raced once more: {total.shown}{what}",
                )
                continue
            accuracy, problem = self._accuracy(best)
            if problem is None:
                return best, total, accuracy
            best = self._drop(best, best.without(best.most_arithmetic), problem)
        return PLAIN, None, None

    def _drop(self, best: Candidate, rest: Candidate, reason: str) -> Candidate:
        """The rest, once it is kept why the others went."""
        gone = Candidate(tuple(lever for lever in best.levers if lever not in rest.levers)).name
        self._dropped.append(TuningDropped(levers=gone, reason=reason))
        self._say(f"without {gone}: {reason}")
        return rest

    def _accuracy(self, candidate: Candidate) -> tuple[TuningAccuracy | None, str | None]:
        """A candidate's accuracy against the plain recipe's, and why it cannot stay. Random weights
        have none, and then nothing speaks against it.

        Errors: NoWinner where the plain recipe's training does not end well."""
        plain = self._trained(PLAIN)
        if plain[-1].status == "refused":
            self._no_accuracy = plain[-1].reason
            return None, None
        if plain[-1].status != "ok":
            raise NoWinner(
                "the plain recipe's training gave no accuracy to hold: "
                f"{plain[-1].status}: {plain[-1].reason}"
            )
        tuned = self._trained(candidate)
        if tuned[-1].status != "ok":
            return None, f"its training gave no accuracy: {tuned[-1].status}: {tuned[-1].reason}"
        found = compare_accuracy(
            self.folder.path, plain, tuned, self.folder.plan.tuning.accuracy_margin
        )
        if found.verdict == "does_not_hold":
            return found, (
                f"the accuracy does not hold, {found.tuned:.1%} against "
                f"{found.plain:.1%} on {found.examples:,} examples"
            )
        return found, None

    def _trained(self, candidate: Candidate) -> list[Measurement]:
        """A candidate's trainings, one per seed, up to the first that does not end well."""
        found: list[Measurement] = []
        for plain in self.folder.plan.jobs:
            suffix = f"-tuned_{len(candidate.levers)}" if candidate.levers else ""
            spec = self._spec(plain, "accuracy", plain.key.id + suffix, candidate)
            found.append(self._train(spec))
            if found[-1].status != "ok":
                break
        return found

    def _train(self, spec: JobSpec) -> Measurement:
        taken = self._taken([spec])
        if taken and taken[0].status in SETTLED:
            return taken[0]
        ready, excluded = self._prepared([spec])
        if excluded:
            return excluded_measurement(excluded, self.folder.device)
        with contextlib.suppress(WorkerEnded):  # recorded
            self.run.measure(ready[0])
        return self._taken([spec])[0]

    def _race(
        self,
        label: str,
        first: Candidate,
        second: Candidate,
        decided: Callable[[Sequence[Participant]], bool] = lost,
    ) -> Race:
        self._races += 1
        slug = f"{self._races:02}_{plain_word(label)}"
        specs = [self._racing(f"{slug}-first", first), self._racing(f"{slug}-second", second)]
        taken = self._taken(specs)
        # Two that raced one another: a stop may have left one of an earlier race beside it.
        settled = (
            len(taken) == 2
            and all(m.status in SETTLED for m in taken)
            and len({m.throughput.race if m.throughput else None for m in taken}) == 1
        )
        if not settled:
            ready, excluded = self._prepared(specs)
            if excluded:
                return Race(reason=f"{excluded.status}: {excluded.reason}")
            self.run.race(ready, decided)
            taken = self._taken(specs)
        race = Race(tuple(taken))
        if len(race.speeds) < 2:
            failed = next(m for m in reversed(taken) if m.throughput is None)
            whose = "" if failed is taken[1] else "what it raced against "
            return Race(race.sides, reason=f"{whose}{failed.status}: {failed.reason}")
        windows = [speed.windows for speed in race.speeds]
        ended_early = len(rounds(windows[0])) < self.folder.plan.throughput.rounds
        return Race(race.sides, gain_of(*windows), "slower in every round" if ended_early else None)

    def _note(self, name: str, against: str, race: Race, may_stay: bool = True) -> bool:
        """Keeps what a race showed; whether its gain counts."""
        kept = may_stay and counts(race.gain, self._floor)
        low, high = ends(race.gain)
        self._steps.append(
            TuningStep(
                lever=name,
                against=against,
                gain=race.gain.value if race.gain else None,
                gain_low=low,
                gain_high=high,
                kept=kept,
                reason=race.reason,
            )
        )
        self._say(f"{name} against {against}: {race.shown}{', kept' if kept else ''}")
        return kept

    def _taken(self, specs: Sequence[JobSpec]) -> list[Measurement]:
        """The measurements that there are of this very work, in its order; also those of before a
        stop, after which another way may lead to the same name."""
        done = {m.job.id: m for m in self.folder.measurements()}
        around = worker_environment(self._plain.key.backend, self.folder.device.kind)
        return [
            m
            for spec in specs
            if (m := done.get(spec.key.id))
            and m.recipe == spec.recipe.model_dump()
            and m.environment == around | spec.environment
        ]

    def _racing(self, label: str, candidate: Candidate) -> JobSpec:
        """A side of a race: the recipe, for as many steps as a race takes."""
        key = self._plain.key
        return self._spec(
            self._plain,
            "throughput",
            f"throughput-{key.task}-{key.backend}-{label}",
            candidate,
            steps=self.folder.plan.throughput.training_steps,
            evaluation_interval=0,
            keep_best=None,
        )

    def _spec(
        self, plain: JobSpec, question: Question, name: str, candidate: Candidate, **changes: Any
    ) -> JobSpec:
        return JobSpec(
            key=JobKey(id=name, backend=plain.key.backend, task=plain.key.task, question=question),
            recipe=candidate.recipe(plain.recipe).model_copy(update=changes),
            environment=plain.environment | candidate.environment,
        )

    def _prepared(self, specs: list[JobSpec]) -> tuple[list[Ready], Excluded | None]:
        """Jobs to run, or the one of them that cannot run here."""
        ready = []
        for outcome in self.run.prepare(specs).values():
            if isinstance(outcome, Excluded):
                return [], outcome
            ready.append(outcome)
        return ready, None
