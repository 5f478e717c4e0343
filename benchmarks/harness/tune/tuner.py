"""The fastest recipe that keeps the accuracy of the plain one, found by measurement.

First the plain recipe races itself, as a check of the method. Then each lever of the backend races
the plain recipe, in launches of its own; a race ends early if the lever lost. The levers that gained
are combined, the largest gain first, each raced against the best combination so far. A gain counts
if its interval lies above 1, at a confidence that is corrected for the number of levers.

The combination is judged as a whole: it races the plain recipe once more, and both are trained as
the accuracy question trains them. If the whole gain does not count, its best lever is judged alone.
If the accuracy is not shown to hold, or the training fails, the lever that changes the arithmetic
most is dropped and the rest is judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.plan import JobSpec, Plan
from benchmarks.harness.run.run import Run
from benchmarks.harness.tune.judge import compare_accuracy, incomplete, matmul_share
from benchmarks.harness.tune.levers import Candidate, Lever, levers
from benchmarks.harness.tune.trial import PLAIN, Trial, Trials
from frameworks.contract import backends
from results.analysis.speed import FEWEST_LAUNCHES
from results.schema import Tuning, TuningAccuracy, TuningDropped, TuningStep

LAUNCHES = 6  # of a race whose profile has too few for an interval over launches
SEEDS = 3  # of an accuracy whose profile has fewer: for an interval over seeds


class NoWinner(Exception):
    """The plain recipe, which all others are compared with, gave no figure; one line says why."""


def plan_for(plan: Plan, say: Callable[[str], None]) -> Plan:
    """The plan of a tuning, made from one that asks for accuracy. Its jobs are the trainings of the
    plain recipe, one per seed, of enough seeds for an interval, as its races have enough launches."""
    speed = plan.throughput
    if speed.launches < FEWEST_LAUNCHES:
        say(
            f"each race takes {LAUNCHES} launches instead of the profile's {speed.launches}, because "
            "gains are judged over launches"
        )
        speed = speed.model_copy(update={"launches": LAUNCHES})
    jobs = list(plan.jobs)
    if len(jobs) < SEEDS:
        say(
            f"each recipe is trained with {SEEDS} seeds instead of the profile's {len(jobs)}, "
            "because an accuracy is judged over seeds"
        )
    while len(jobs) < SEEDS:
        jobs.append(_with_seed(jobs[-1], jobs[-1].recipe.seed + 1))
    return plan.model_copy(
        update={
            "throughput": speed.model_copy(update={"until": "planned", "until_minutes": None}),
            "accuracy": plan.accuracy.model_copy(
                update={"seeds": [job.recipe.seed for job in jobs]}
            ),
            "jobs": jobs,
            "tunes": True,
        }
    )


def _with_seed(job: JobSpec, seed: int) -> JobSpec:
    name = job.key.id.removesuffix(str(job.recipe.seed)) + str(seed)
    return job.model_copy(
        update={
            "key": job.key.model_copy(update={"id": name}),
            "recipe": job.recipe.model_copy(update={"seed": seed}),
        }
    )


class Tuner:
    """Decides which levers are tried, combined, kept and dropped."""

    def __init__(self, run: Run, say: Callable[[str], None]) -> None:
        """`say` prints a line."""
        self._folder, self._say = run.folder, say
        self._trials = Trials(run)
        self._plain = self._trials.plain
        self._tried = 1  # levers that can be raced here
        self._steps: list[TuningStep] = []
        self._dropped: list[TuningDropped] = []
        self._no_accuracy: str | None = None

    def check(self) -> None:
        """Call it before the run's folder is made. Errors: UserError if the plain recipe cannot
        run here."""
        reason = self._trials.reason_against_racing()
        if reason:
            raise UserError(f"--backend {self._plain.key.backend} cannot be tuned: {reason}")

    def tune(self) -> Tuning:
        """Errors: NoWinner if the plain recipe cannot be raced or trained; UserError."""
        noise = self._measure_noise()
        candidate = self._combine(self._try_alone(noise))
        winner, total, accuracy = self._judge(candidate)
        low, high = total.interval() if total else (None, None)
        return Tuning(
            backend=self._plain.key.backend,
            task=self._plain.key.task,
            plain_recipe=self._plain.recipe.model_dump(),
            levers=[lever.name for lever in winner.levers],
            tuned_fields=winner.fields,
            tuned_environment=self._plain.environment | winner.environment,
            steps=self._steps,
            levers_tried=self._tried,
            dropped=self._dropped,
            gain=total.gain.value if total and total.gain else None,
            gain_low=low,
            gain_high=high,
            accuracy=accuracy,
            no_accuracy=self._no_accuracy,
            plain_matmul_share=matmul_share(noise.speeds[0]),
            tuned_matmul_share=matmul_share(total.speeds[1]) if total else None,
        )

    def _measure_noise(self) -> Trial:
        """Races the plain recipe against itself. Errors: NoWinner without an interval."""
        noise = self._trials.race("again", PLAIN, PLAIN, incomplete)
        self._note("plain, again", "plain", noise, may_be_kept=False)
        if noise.interval()[0] is None:
            raise NoWinner(f"the plain recipe's race against itself gave no interval: {noise.text}")
        return noise

    def _try_alone(self, noise: Trial) -> list[Lever]:
        """The levers that gain by themselves, the largest gain first."""
        gains = []
        attention = (noise.sides[0].effective or {}).get("attention")
        variables = backends()[self._plain.key.backend].thread_variables
        threads = self._folder.plan.threads
        found = [
            lever
            for lever in levers(self._plain.recipe, self._folder.device, threads, variables)
            if not attention or lever.fields != {"attention": attention}  # the default already
        ]
        reasons = [self._trials.reason_against_racing(Candidate((lever,))) for lever in found]
        self._tried = max(1, reasons.count(None))
        for lever, reason in zip(found, reasons, strict=True):
            if reason:
                self._note(lever.name, "plain", Trial(reason=reason))
                continue
            trial = self._trials.race(lever.name, PLAIN, Candidate((lever,)))
            if self._note(lever.name, "plain", trial, self._tried) and trial.gain:
                gains.append((trial.gain.value, lever))
        return [lever for _, lever in sorted(gains, key=lambda pair: -pair[0])]

    def _combine(self, gained: Sequence[Lever]) -> Candidate:
        """Adds each lever to the best combination so far if that makes it faster."""
        best = PLAIN
        for lever in gained:
            if not best.levers:
                best = best.plus(lever)
            elif not best.differs_where(lever):
                trial = self._trials.race(f"with-{lever.name}", best, best.plus(lever))
                if self._note(lever.name, best.name, trial, self._tried):
                    best = best.plus(lever)
        return best

    def _judge(self, best: Candidate) -> tuple[Candidate, Trial | None, TuningAccuracy | None]:
        """The winner, its race against the plain recipe and its accuracy."""
        while best.levers:
            total = self._trials.race("all", PLAIN, best)
            if not self._note(f"all kept: {best.name}", "plain", total):
                what = "" if total.gain is None else ", no gain shown"
                best = self._drop(
                    best,
                    best.best_alone,
                    f"{best.name} against plain, raced once more: {total.text}{what}",
                )
                continue
            accuracy, problem = self._accuracy(best)
            if problem is None:
                return best, total, accuracy
            best = self._drop(best, best.without(best.most_arithmetic), problem)
        return PLAIN, None, None

    def _drop(self, best: Candidate, rest: Candidate, reason: str) -> Candidate:
        """Records why the levers that are not in `rest` are dropped; returns `rest`."""
        gone = Candidate(tuple(lever for lever in best.levers if lever not in rest.levers)).name
        self._dropped.append(TuningDropped(levers=gone, reason=reason))
        self._say(f"dropped {gone}: {reason}")
        return rest

    def _accuracy(self, candidate: Candidate) -> tuple[TuningAccuracy | None, str | None]:
        """A candidate's accuracy compared with the plain recipe's, and why it must be dropped.
        Random weights have no accuracy; then nothing is dropped for it.

        Errors: NoWinner if the plain recipe's training fails."""
        plain = self._trials.train(PLAIN)
        if plain[-1].status == "refused":
            self._no_accuracy = plain[-1].reason
            return None, None
        if plain[-1].status != "ok":
            raise NoWinner(
                "the plain recipe's training gave no accuracy to compare with: "
                f"{plain[-1].status}: {plain[-1].reason}"
            )
        tuned = self._trials.train(candidate)
        if tuned[-1].status != "ok":
            return None, f"its training gave no accuracy: {tuned[-1].status}: {tuned[-1].reason}"
        margin = self._folder.plan.tuning.accuracy_margin
        found = compare_accuracy(self._folder.path, plain, tuned, margin)
        figures = (
            f"{found.tuned:.1%} against {found.plain:.1%} on {found.examples:,} examples, "
            f"{len(found.seeds)} seeds"
        )
        if found.verdict == "does_not_hold":
            return found, f"the accuracy does not hold, {figures}"
        if found.verdict == "cannot_tell":
            return found, (
                f"whether the accuracy holds cannot be told, {figures}: more seeds or more "
                "evaluation examples are needed"
            )
        return found, None

    def _note(
        self, name: str, against: str, trial: Trial, tried: int = 1, may_be_kept: bool = True
    ) -> bool:
        """Records and prints what a race showed; whether its gain counts."""
        kept = may_be_kept and trial.counts(tried)
        low, high = trial.interval(tried)
        self._steps.append(
            TuningStep(
                lever=name,
                against=against,
                gain=trial.gain.value if trial.gain else None,
                gain_low=low,
                gain_high=high,
                kept=kept,
                reason=trial.reason,
            )
        )
        self._say(f"{name} against {against}: {trial.text}{', kept' if kept else ''}")
        return kept
