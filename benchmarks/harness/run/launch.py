"""What a participant's launches gave, put together to its measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from benchmarks.harness.jobs.attempt import Attempt
from benchmarks.harness.jobs.events import ThroughputResult
from benchmarks.harness.machine import gpu_types
from results.schema import Launch, Measurement, Phase, Throughput, Window


@dataclass(frozen=True)
class LaunchResult:
    """One process of a participant, from its start to its end."""

    number: int  # of the launch in its race
    started_at: str
    seconds: float
    warmup: dict[Phase, list[Window]]
    windows: dict[Phase, list[Window]]
    result: ThroughputResult


def measurement_of_launches(
    attempt: Attempt, launches: Sequence[LaunchResult], race: str
) -> Measurement:
    """The measurement of a participant; `attempt` is its last launch's, `race` the race's name."""
    plan = attempt.ready.job.throughput
    first, last = launches[0].result, launches[-1].result

    def windows(phase: Phase, warmup: bool = False) -> list[Window]:
        of_launches = (one.warmup if warmup else one.windows for one in launches)
        return list(chain.from_iterable(one[phase] for one in of_launches))

    matmul, gaps = first.matmul_flops_per_second, dict(first.gaps)  # later launches have no rate
    precision = attempt.ready.job.recipe.precision
    if matmul and not gpu_types.is_plausible_rate(attempt.device.gpu_type, precision, matmul):
        matmul, gaps["matmul_flops_per_second"] = None, "implausible"
    throughput = Throughput(
        launches=[
            Launch(
                number=one.number,
                build_seconds=one.result.build_seconds,
                first_step_seconds=one.result.first_step_seconds,
            )
            for one in launches
        ],
        warmup=windows("training", warmup=True),
        windows=windows("training"),
        evaluation_warmup=windows("evaluation", warmup=True),
        evaluation_windows=windows("evaluation"),
        race=race,
        sequential=plan.until == "decided",
        equal_margin=plan.equal_margin,
        model_flops_per_token=last.model_flops_per_token,
        matmul_flops_per_second=matmul,
    )
    of_last = attempt.measurement("ok", payload=throughput, effective=last.effective, gaps=gaps)
    seconds = sum(one.seconds for one in launches)
    return of_last.model_copy(update={"started_at": launches[0].started_at, "seconds": seconds})
