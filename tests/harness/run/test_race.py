"""When a race ends: after the planned launches, when it is decided, or when time runs out. Races of real
workers are in `tests/benchmarks`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.plan.sections import ThroughputPlan
from benchmarks.harness.run import race as module
from benchmarks.harness.run.participants import in_turn
from benchmarks.harness.run.race import Race
from results.schema import Measurement, Phase
from tests.results import samples


class Measured(Race):
    """A race whose launches have been taken."""

    def measurements(self) -> list[Measurement]:
        return [samples.measurement("hf_torch", "imdb", "throughput")]


def race(plan: ThroughputPlan, decided: Any = None) -> Race:
    folder: Any = SimpleNamespace(plan=SimpleNamespace(throughput=plan))
    return Measured(folder, lambda key, event: None, decided)


def launches_taken(race: Race, plan: ThroughputPlan) -> int:
    for launch in range(plan.most_launches):
        if race.is_over(launch):
            return launch
    return plan.most_launches


def test_it_is_asked_after_every_launch_whether_it_is_decided() -> None:
    plan, answers = ThroughputPlan(until="decided"), iter([False] * 5 + [True])
    assert launches_taken(race(plan, lambda measurements: next(answers)), plan) == 6
    assert launches_taken(race(plan, lambda measurements: False), plan) == 12
    planned = ThroughputPlan(launches=3)
    assert launches_taken(race(planned), planned) == 3


@pytest.mark.parametrize(
    ("minutes", "taken"), [(None, 12), (100, 12), (59, 9), (44, 6), (29, 4), (1, 4)]
)
def test_time_is_limited_between_looks_only(
    minutes: int | None, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launch takes five minutes; the next look must come within the limit."""
    plan = ThroughputPlan(until="decided", until_minutes=minutes)
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    found = race(plan, lambda measurements: False)
    for launch in range(12):
        now = 300.0 * launch
        if found.is_over(launch):
            assert launch == taken
            return
    assert taken == 12


def test_every_other_turn_has_the_reverse_order() -> None:
    jobs: Any = ["a", "b", "c"]
    assert [in_turn(jobs, n)[0] for n in range(4)] == ["a", "c", "a", "c"]


class Warm:
    """A participant whose steps take so long."""

    def __init__(self, *step_seconds: float) -> None:
        self._seconds, self.taken = iter(step_seconds), []
        self.now, self.window_steps, self.evaluates = next(self._seconds), {}, False
        self.attempt: Any = SimpleNamespace(ready=None, load=lambda: None)
        self.windows = SimpleNamespace(step_seconds=lambda phase: self.now)

    def start(self) -> None: ...

    def begin_evaluation(self) -> None:
        self.evaluates = True

    def warm_up(self, steps: int) -> None:
        self.taken.append(steps)
        self.now = next(self._seconds, self.now)


def named(racing: list[Any], found: Race) -> list[Any]:
    """The jobs of participants that have been started."""
    found.participants.racing = {str(number): one for number, one in enumerate(racing)}
    return [
        SimpleNamespace(job=SimpleNamespace(key=SimpleNamespace(id=n)))
        for n in found.participants.racing
    ]


@pytest.mark.parametrize("phase", ["training", "evaluation"])
@pytest.mark.parametrize(
    ("racing", "windows"),
    [
        ([(0.1,), (0.025,)], []),  # 0.5 s with 20 steps
        ([(0.1,), (0.01,)], [60]),  # the fastest decides for all
        ([(0.01, 0.005)], [60, 120]),  # it had not warmed up
        ([(1e-6,), (0.1,)], [1200]),  # no step is so fast
    ],
)
def test_windows_have_the_steps_that_the_fastest_participant_needs(
    racing: list[tuple[float, ...]], windows: list[int], phase: Phase
) -> None:
    plan = ThroughputPlan(steps_per_window=20, evaluation_batches=20, window_seconds=0.5)
    found, warm = race(plan), [Warm(*seconds) for seconds in racing]
    jobs = named(warm, found)
    found.participants.begin_all(jobs, phase)
    assert all(one.taken == windows for one in warm)
    assert all(one.window_steps == {phase: windows[-1] if windows else 20} for one in warm)
    assert all(one.evaluates == (phase == "evaluation") for one in warm)
    found.participants.begin_all(jobs, phase)  # the next launch is not asked again
    assert all(one.taken == windows for one in warm)


def test_windows_on_a_cpu_have_the_steps_of_the_profile() -> None:
    found, one = race(ThroughputPlan(steps_per_window=4)), Warm(1e-6)
    found.participants.begin_all(named([one], found), "training")
    assert one.taken == [] and one.window_steps == {}
