"""A run without workers: races and trainings have the outcomes that a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.jobs.attempt import Excluded
from benchmarks.harness.jobs.environment import worker_environment
from benchmarks.harness.jobs.process import WorkerEnded
from benchmarks.harness.plan.plan import JobSpec, Plan
from benchmarks.harness.tune.tuner import Tuner
from results.schema import Device, Launch, Measurement, Score, Throughput, Tuning
from tests.harness.tune.test_judge import CPU, windows
from tests.results import samples

EXAMPLES = 1000


# The number of correctly classified examples, counted from the end if it is below 0; or the status
# of a training that fails.
Right = int | str


@dataclass
class FakeRun:
    """`speed` gives a recipe's rate in a round, or the reason why its worker ends."""

    path: Path
    plan: Plan
    speed: Callable[[JobSpec, int], float | str]
    right: Callable[[JobSpec], Right] = lambda spec: 900
    device: Device = CPU
    kept: dict[str, Measurement] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    @property
    def folder(self) -> FakeRun:
        """It is its own run's folder."""
        return self

    def prepare(self, specs: Sequence[JobSpec]) -> dict[str, Any]:
        return {
            spec.key.id: Excluded(spec, "refused", "random weights")
            if spec.key.question == "accuracy" and self.right(spec) == "refused"
            else spec
            for spec in specs
        }

    def measurements(self) -> list[Measurement]:
        return sorted(self.kept.values(), key=lambda m: m.job.id)

    def _record(self, spec: JobSpec, **fields: Any) -> Measurement:
        self.ran.append(spec.key.id)
        self.kept[spec.key.id] = samples.measurement(
            spec.key.backend,
            spec.key.task,
            spec.key.question,
            job=spec.key,
            recipe=spec.recipe.model_dump(),
            environment=worker_environment("hf_torch", None, self.plan.threads) | spec.environment,
            **fields,
        )
        return self.kept[spec.key.id]

    def race(
        self, specs: Sequence[JobSpec], decided: Callable[[Any], bool], evaluation: bool
    ) -> None:
        """Rounds are counted through all launches."""
        assert not evaluation
        plan, rates = self.plan.throughput, [[], []]  # type: tuple[Any, list[list[Any]]]
        for launch in range(plan.launches):
            for round_ in range(plan.rounds):
                for side, spec in zip(rates, specs, strict=True):
                    side.append(self.speed(spec, launch * plan.rounds + round_))
            racing = [
                samples.measurement("hf_torch", "imdb", "throughput", payload=self._timed(side, ""))
                for side in rates
                if not isinstance(side[-1], str)
            ]
            if decided(racing):
                break
        for side, spec in zip(rates, specs, strict=True):
            if isinstance(side[-1], str):
                self._record(spec, status="killed", reason=side[-1])
            else:
                self._record(spec, payload=self._timed(side, specs[0].key.id))

    def _timed(self, rates: list[float], race: str) -> Throughput:
        rounds = self.plan.throughput.rounds
        launches = [
            Launch(number=i, build_seconds=1, first_step_seconds=1)
            for i in range(len(rates) // rounds)
        ]
        timed = windows(*rates, rounds=rounds)
        return Throughput(launches=launches, warmup=[], windows=timed, race=race)

    def measure(self, spec: JobSpec) -> Measurement:
        right = self.right(spec)
        if isinstance(right, str):
            self._record(spec, status=right, reason="no memory")
            raise WorkerEnded("killed", "no memory", [])
        return trained(self.path, right, self._record, spec)


def trained(
    folder: Path, right: int, record: Callable[..., Measurement], spec: JobSpec
) -> Measurement:
    """A training with its predictions."""
    logits = np.array([[1.0, 0.0]] * abs(right) + [[0.0, 1.0]] * (EXAMPLES - abs(right)))
    logits = logits[::-1] if right < 0 else logits
    np.savez_compressed(
        folder / f"{spec.key.id}.npz", test_logits=logits, test_labels=np.zeros(EXAMPLES, np.int32)
    )
    score = Score(examples=EXAMPLES, accuracy=abs(right) / EXAMPLES, macro_f1=0.5, loss=1.0)
    return record(
        spec,
        payload=samples.accuracy("imdb", 0.9, 1.0, spec.recipe.seed).model_copy(
            update={"scores": {"test": score}}
        ),
    )


def rate(spec: JobSpec, round_: int) -> float:
    """bf16 twice as fast, buckets half as fast again, together the product; 1 % of noise."""
    noise = 1 + ((round_ * 7 + len(spec.key.id)) % 5 - 2) / 200
    faster = {"bf16": 2.0, "fp32": 1.0}[spec.recipe.precision]
    return noise * 10 * faster * (1.5 if spec.recipe.padding == "buckets" else 1)


def tuned(run: Any) -> Tuning:
    run.path.mkdir(exist_ok=True)
    return Tuner(run, lambda text: None).tune()
