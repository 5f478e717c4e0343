"""The fastest recipe that still holds the accuracy of the plain one, found by measurement.

Each lever that the backend has is raced against the plain recipe, the two taking turns on the same
machine; a race ends after the round in which the lever has lost for certain. Then those that
gained are put together, the largest first, each raced against the best so far and kept only when
the interval of its gain lies above 1 and the gain above what the plain recipe showed against
itself: below that, no difference is called one. Both recipes are trained to their end at last;
where the tuned one's accuracy is lower beyond its interval, the lever that changes the arithmetic
most is dropped and the rest is judged again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.plan import JobSpec, Plan
from benchmarks.harness.prepare import Ready
from benchmarks.harness.process import WorkerEnded
from benchmarks.harness.profiles import Fields
from benchmarks.harness.run import SETTLED, Run
from benchmarks.harness.runner import SpeedJob, Watch
from frameworks.contract import Recipe
from results import store
from results.schema import Device, JobKey, Measurement, Question, Tuning, TuningAccuracy, TuningStep
from results.statistics import Estimate, paired_difference, paired_ratio

# What changes the arithmetic, the most first: the order in which levers are dropped for accuracy.
ARITHMETIC = ("precision", "padding", "batch_size")


@dataclass(frozen=True)
class Lever:
    """One thing that a framework offers: recipe fields and variables of the worker."""

    name: str
    fields: Fields = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """Levers put together; none of them is the plain recipe."""

    levers: tuple[Lever, ...] = ()

    def plus(self, lever: Lever) -> Candidate:
        return Candidate((*self.levers, lever))

    def without(self, lever: Lever) -> Candidate:
        return Candidate(tuple(other for other in self.levers if other != lever))

    def recipe(self, plain: Recipe) -> Recipe:
        fields = {name: value for lever in self.levers for name, value in lever.fields.items()}
        return Recipe(**(plain.model_dump() | fields))

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for lever in self.levers for name, value in lever.environment.items()}

    @property
    def name(self) -> str:
        return " + ".join(lever.name for lever in self.levers) or "plain"

    def differs_where(self, lever: Lever) -> bool:
        """Whether a lever sets what another one here has set already."""
        return any(set(lever.fields) & set(other.fields)
                   or set(lever.environment) & set(other.environment) for other in self.levers)


def levers(recipe: Recipe, device: Device) -> list[Lever]:
    """Everything that could make the recipe faster and leaves the learning signal as it is: the
    examples of an optimizer step stay the same number. What a backend or a device cannot do is
    told by them, not here."""
    found = [Lever(word, {"precision": word}) for word in ("tf32", "bf16", "fp16")]
    found += [
        Lever("compiled", {"compile": True}),
        Lever("padding to the longest", {"padding": "longest"}),
        Lever("length buckets", {"padding": "buckets"}),
        Lever("attention sdpa", {"attention": "sdpa"}),
        Lever("attention eager", {"attention": "eager"}),
    ]
    size, parts = recipe.batch_size, recipe.accumulation
    if size % 2 == 0:
        found.append(Lever("half the batch, accumulated",
                           {"batch_size": size // 2, "accumulation": parts * 2}))
    if parts % 2 == 0:
        found.append(Lever("twice the batch, less accumulated",
                           {"batch_size": size * 2, "accumulation": parts // 2}))
    if device.kind == "cpu" and device.cores > 1:
        # Both ways: where cores share arithmetic units, a framework may by itself start fewer.
        found += [Lever(f"{count} of {device.cores} threads", environment={
            "OMP_NUM_THREADS": str(count), "TF_NUM_INTRAOP_THREADS": str(count)})
            for count in (device.cores // 2, device.cores)]
    current = recipe.model_dump()
    return [lever for lever in found
            if lever.environment or any(current[k] != v for k, v in lever.fields.items())]


class Tuner:
    """One backend on one task, in a run of its own."""

    def __init__(self, run: Run, say: Callable[[str], None], watch: Watch) -> None:
        self.run, self._say, self._watch = run, say, watch
        (self._plain,) = run.plan.jobs
        self._races, self._floor = 0, 0.0
        self.steps: list[TuningStep] = []

    def tune(self) -> Tuning:
        best = self._together(self._alone())
        total = self._race("all", Candidate(), best)[0] if best.levers else None
        accuracy, kept = self._hold_accuracy(best)
        if kept != best and kept.levers:
            total = self._race("kept", Candidate(), kept)[0]
        key = self._plain.key
        return Tuning(
            backend=key.backend, task=key.task, plain_recipe=self._plain.recipe.model_dump(),
            tuned_fields={k: v for lever in kept.levers for k, v in lever.fields.items()},
            tuned_environment=self._plain.environment | kept.environment, steps=self.steps,
            gain=total.value if total and kept.levers else None,
            gain_low=total.interval.low if total and kept.levers and total.interval else None,
            gain_high=total.interval.high if total and kept.levers and total.interval else None,
            accuracy=accuracy, plain_matmul_share=self._share(False),
            tuned_matmul_share=self._share(True) if kept.levers else None,
        )

    def _alone(self) -> list[tuple[float, Lever]]:
        """Levers that gain by themselves, the largest gain first."""
        gains = []
        noise, reason = self._race("again", Candidate(), Candidate())
        self._note("plain, again", "plain", noise, False, reason)
        self._floor = floor(noise)
        in_force = self._attention()
        for lever in levers(self._plain.recipe, self.run.device):
            if in_force and lever.fields == {"attention": in_force}:
                continue  # what the framework does anyway
            gain, reason = self._race(lever.name, Candidate(), Candidate((lever,)))
            kept = counts(gain, self._floor)
            self._note(lever.name, "plain", gain, kept, reason)
            if kept and gain is not None:
                gains.append((gain.value, lever))
        return sorted(gains, key=lambda pair: -pair[0])

    def _together(self, gains: Sequence[tuple[float, Lever]]) -> Candidate:
        best = Candidate()
        for _, lever in gains:
            if not best.levers:
                best = best.plus(lever)
            elif not best.differs_where(lever):
                gain, reason = self._race(f"with-{lever.name}", best, best.plus(lever))
                kept = counts(gain, self._floor)
                self._note(lever.name, best.name, gain, kept, reason)
                best = best.plus(lever) if kept else best
        return best

    def _attention(self) -> str | None:
        """The attention of the plain recipe, as the framework told it."""
        told = (m.effective for m in self.run.measurements() if m.effective)
        effective = next(told, None)
        return None if effective is None else effective.get("attention")

    def _note(self, name: str, against: str, gain: Estimate | None, kept: bool,
              reason: str | None) -> None:
        interval = gain.interval if gain else None
        self.steps.append(TuningStep(
            lever=name, against=against, gain=gain.value if gain else None,
            gain_low=interval.low if interval else None,
            gain_high=interval.high if interval else None, kept=kept, reason=reason))
        shown = f"{gain.value:.2f}x" if gain else reason
        self._say(f"{name} against {against}: {shown}{', kept' if kept else ''}")

    def _race(self, label: str, first: Candidate,
              second: Candidate) -> tuple[Estimate | None, str | None]:
        """Examples per second of the second over the first, in pairs of windows; or why not."""
        self._races += 1
        slug = f"{self._races:02}_{plain_word(label)}"
        specs = [self._spec("throughput", f"{slug}-first", first),
                 self._spec("throughput", f"{slug}-second", second)]
        taken = self._taken(specs)
        if len(taken) < 2 or any(m.status not in SETTLED for m in taken):
            ready, reason = self._prepared(specs)
            if reason:
                return None, reason
            self.run.run_race(ready, self._watch, lost)
            taken = self._taken(specs)
        failed = next((m for m in taken if m.throughput is None), None)
        if failed is not None:
            return None, f"{failed.status}: {failed.reason}"
        return speed_ratio(*taken), None

    def _taken(self, specs: Sequence[JobSpec]) -> list[Measurement]:
        """The measurements that there are of these jobs, in their order; also those of before a
        stop."""
        done = {m.job.id: m for m in self.run.measurements()}
        return [done[spec.key.id] for spec in specs if spec.key.id in done]

    def _spec(self, question: Question, label: str, candidate: Candidate,
              **changes: Any) -> JobSpec:
        key = self._plain.key
        return JobSpec(
            key=JobKey(id=f"{question}-{key.task}-{key.backend}-{label}", backend=key.backend,
                       task=key.task, question=question),
            recipe=candidate.recipe(self._plain.recipe).model_copy(update=changes),
            environment=self._plain.environment | candidate.environment,
        )

    def _prepared(self, specs: list[JobSpec]) -> tuple[list[Ready], str | None]:
        """Jobs to run, or why one of them cannot run here."""
        self.run.prepare(specs, self._say)
        ready = []
        for spec in specs:
            outcome = self.run.prepared[spec.key.id]
            if not isinstance(outcome, Ready):
                return [], f"{outcome.status}: {outcome.reason}"
            ready.append(outcome)
        return ready, None

    def _hold_accuracy(self, best: Candidate) -> tuple[TuningAccuracy | None, Candidate]:
        """Trains both recipes to their end, and drops levers until the accuracy holds."""
        if not best.levers:
            return None, best
        plain = self._train("plain", Candidate())
        while True:
            tuned = self._train(f"tuned_{len(best.levers)}", best)
            accuracy = compare_accuracy(self.run.folder, plain, tuned)
            if accuracy is None or accuracy.holds:
                return accuracy, best
            dropped = most_arithmetic(best)
            self._say(f"accuracy {accuracy.tuned:.4f} against {accuracy.plain:.4f}: "
                      f"without {dropped.name}")
            best = best.without(dropped)
            if not best.levers:
                return accuracy, best

    def _train(self, label: str, candidate: Candidate) -> Measurement | None:
        spec = self._spec("accuracy", label, candidate, steps=None)
        for taken in self._taken([spec]):
            if taken.status in SETTLED:
                return taken
        ready, _ = self._prepared([spec])
        if not ready:
            return None  # random weights have no accuracy
        try:
            return self.run.run_whole(ready[0], self._watch)
        except WorkerEnded:
            return None  # recorded, and told by the report

    def _share(self, tuned: bool) -> float | None:
        """Model FLOP/s over the matmul rate of the last race's side, padding left out."""
        last = [m for m in self.run.measurements() if m.throughput
                and m.job.id.endswith("-second" if tuned else "-first")]
        if not last:
            return None
        speed = last[-1].throughput if tuned else last[0].throughput
        assert speed is not None
        if not speed.model_flops_per_token or not speed.matmul_flops_per_second:
            return None
        rates = [w.tokens / w.seconds for w in speed.windows]
        return float(np.median(rates) * speed.model_flops_per_token
                     / speed.matmul_flops_per_second)


def floor(noise: Estimate | None) -> float:
    """How far from 1 a recipe's ratio to itself may lie, by its interval; 0 where it is unknown."""
    if noise is None or noise.interval is None:
        return 0.0
    return max(noise.interval.high - 1, 1 - noise.interval.low)


def counts(gain: Estimate | None, floor: float) -> bool:
    """Whether a gain is one: its interval above 1, and itself above the noise."""
    return (gain is not None and gain.interval is not None and gain.interval.low > 1
            and gain.value - 1 > floor)


def lost(racing: Sequence[SpeedJob]) -> bool:
    """Whether the second of two is slower for certain by now, or one of them has left."""
    if len(racing) < 2:
        return True
    first, second = (job.example_rates for job in racing)
    interval = paired_ratio(second, first).interval
    return interval is not None and interval.high < 1


def speed_ratio(first: Measurement, second: Measurement) -> Estimate:
    """Examples per second of the second over the first, windows paired in their order."""
    assert first.throughput is not None and second.throughput is not None
    rates = [[w.examples / w.seconds for w in m.windows]
             for m in (second.throughput, first.throughput)]
    return paired_ratio(rates[0], rates[1])


def most_arithmetic(candidate: Candidate) -> Lever:
    """The lever to drop first for accuracy's sake."""
    def place(lever: Lever) -> int:
        return min((ARITHMETIC.index(name) for name in lever.fields if name in ARITHMETIC),
                   default=len(ARITHMETIC))
    return min(candidate.levers, key=place)


def compare_accuracy(folder: Path, plain: Measurement | None,
                     tuned: Measurement | None) -> TuningAccuracy | None:
    """The tuned recipe's accuracy on the first evaluation set against the plain one's, from the
    kept predictions; it holds when the interval of the difference reaches 0 or more."""
    if plain is None or tuned is None or plain.accuracy is None or tuned.accuracy is None:
        return None
    name = next(iter(plain.accuracy.scores))
    right = []
    for m in (plain, tuned):
        with np.load(folder / f"{m.job.id}.npz", allow_pickle=False) as arrays:
            right.append(arrays[f"{name}_logits"].argmax(axis=1) == arrays[f"{name}_labels"])
    only_tuned, only_plain = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    difference = paired_difference(only_tuned, only_plain, len(right[0]))
    assert difference.interval is not None
    return TuningAccuracy(
        evaluation_set=name, examples=len(right[0]), plain=float(right[0].mean()),
        tuned=float(right[1].mean()), difference=difference.value,
        difference_low=difference.interval.low, difference_high=difference.interval.high,
        holds=difference.interval.high >= 0, seed=plain.accuracy.seed)


def plain_word(text: str) -> str:
    """Letters, digits and '_', for a file's name."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in text)


def plan_for(plan: Plan) -> Plan:
    """The plan of a single throughput job as the one that tuning starts from."""
    alone = [spec for spec in plan.jobs if spec.key.variant == "framework"][:1]
    return plan.model_copy(update={"jobs": alone})


def profile_text(tuning: Tuning, plan: Plan) -> str:
    """The winner as a profile in TOML, with what each lever gained."""
    lines = [f"# The fastest recipe found for {tuning.backend} on {tuning.task}, by:",
             f"# {plan.command}"]
    for step in tuning.steps:
        gain = step.reason if step.gain is None else f"{step.gain:.2f}x"
        lines.append(f"# {step.lever} against {step.against}: {gain}"
                     f"{' (kept)' if step.kept else ''}")
    lines.append(f'description = "{tuning.backend} on {tuning.task}, tuned from {plan.profile}"')
    lines += [f"{name} = {toml_value(value)}" for name, value in (
        ("backends", [tuning.backend]), ("checkpoint", plan.checkpoint),
        ("data", plan.data), ("data_seed", plan.data_seed)) if value is not None]
    lines += ["", "[recipe]"]
    recipe = tuning.plain_recipe | tuning.tuned_fields | {"steps": None}
    lines += [f"{name} = {toml_value(value)}" for name, value in recipe.items()
              if value is not None]
    if tuning.tuned_environment:
        lines += ["", f"[environment.{tuning.backend}]"]
        lines += [f'{name} = "{value}"' for name, value in tuning.tuned_environment.items()]
    lines += ["", f"[tasks.{tuning.task}]"]
    sizes = zip(("train_examples", "evaluation_examples"), plan.sizes[tuning.task], strict=True)
    lines += [f"{name} = {count}" for name, count in sizes if count is not None]
    return "\n".join(lines) + "\n"


def toml_value(value: object) -> str:
    """JSON's strings, numbers, truth values and lists are TOML's too."""
    return json.dumps(value)


def keep(run: Run, tuning: Tuning) -> Path:
    """Writes tuning.json and tuned.toml into the run's folder; the profile's path."""
    store.write_record(run.folder / store.TUNING_FILE, tuning)
    path = run.folder / "tuned.toml"
    store.write_text(path, profile_text(tuning, run.plan))
    return path
