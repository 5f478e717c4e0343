"""The error rates of the claims about speed, in small simulations; `python -m
benchmarks.studies.speed_claims` runs large ones."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies.speed_claims import __main__ as study
from benchmarks.studies.speed_claims import against_itself, rules
from benchmarks.studies.speed_claims.noise import Noise, drift, kinds, lognormal, published
from benchmarks.studies.speed_claims.residuals import residuals
from results.analysis.speed import Rate, rate
from results.analysis.verdict import judge_rates
from results.schema import Launch, Throughput, Window
from tests.results.races import timed
from tests.results.samples import window


@pytest.mark.parametrize("noise", kinds(), ids=lambda noise: f"{noise.name} {noise.launch_sd}")
def test_no_kind_of_noise_misses_a_goal(noise: Noise) -> None:
    """False winners and false equals at most 5 %, coverage 93 to 97 %, and power."""
    assert study.simulate(noise, races=1500, seed=1).misses() == []


def test_the_rule_before_launches_misses_them() -> None:
    """So the simulation can tell a sound rule from one that is not."""
    (quiet,) = (
        n for n in kinds() if n.name == "tuning, TensorFlow on MNLI" and n.launch_sd > 0.012
    )
    assert study.simulate(quiet, 1500).before[0] > 0.15
    (noisy,) = (n for n in kinds() if n.name == "speed, IMDb")
    assert study.simulate(noisy, 1500).before[1] < 0.2


def test_reversed_turns_take_a_drift_out() -> None:
    logs = Noise("drift", drift, launch_sd=0).race(np.random.default_rng(1), (500, 3, 6, 3))
    bias = (logs[:, 2] - logs[:, 0]).mean()
    assert abs(bias) < 0.002


def rates_of(logs: np.ndarray) -> dict[str, Rate]:
    """One race (participants, launches, rounds) as the report has it."""
    return {
        str(name): rate(
            [
                window(10 / np.exp(seconds), r, launch=n)
                for n, of_launch in enumerate(one)
                for r, seconds in enumerate(of_launch)
            ]
        )
        for name, one in enumerate(logs)
    }


@pytest.mark.parametrize("shape", [(2, 6, 3), (3, 4, 3), (2, 1, 9), (4, 1, 12)])
def test_the_simulated_rules_are_those_of_the_report(shape: tuple[int, int, int]) -> None:
    noise = Noise("", lognormal, 0.012)
    races = noise.race(np.random.default_rng(2), (60, *shape), advantage=log(1.1))
    several = shape[1] > 1
    won = (rules.winners if several else rules.winners_of_one_launch)(races)
    same = rules.equal(races) if several else np.zeros(len(races), dtype=bool)
    for logs, winner, alike in zip(races, won, same, strict=True):
        verdict = judge_rates(rates_of(logs))
        assert verdict.winner == (None if winner == rules.NOBODY else str(winner))
        if len(logs) == 2 and several:
            assert verdict.rivals[0].equal == alike
    assert (won == 0).mean() > 0 and (won > 0).mean() < 0.05


def test_residuals_have_the_spread_of_their_noise() -> None:
    generator = np.random.default_rng(3)
    participants = [
        Throughput(
            launches=[Launch(build_seconds=1, first_step_seconds=1)],
            warmup=[],
            windows=windows(generator, speed),
        )
        for speed in (1.0, 3.0, 0.5)
    ]
    assert np.std(residuals(participants)) == pytest.approx(0.05, rel=0.05)
    assert all(len(values) >= 36 for values in map(list, map(_values, published().values())))


def windows(generator: np.random.Generator, speed: float) -> list[Window]:
    """A thousand, each of other length for all participants alike, with 5 % of noise."""
    return [window(speed * (1 + i % 7) * np.exp(generator.normal(0, 0.05)), i) for i in range(1000)]


def _values(draw: object) -> list[float]:
    (values,) = draw.args  # type: ignore[attr-defined]
    return list(values)


def test_a_backend_against_itself_is_two_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = against_itself.read_options(["--backend", "hf_torch", "--launches", "4"])
    plan = against_itself.plan_of(options, "")
    assert [job.key.role for job in plan.jobs] == ["framework", "repeat"]
    assert (plan.throughput.launches, plan.throughput.rounds) == (4, 3)
    pair = [
        timed("hf_torch", [v, v, v, v], role, rounds=1)
        for v, role in ((1.0, "framework"), (1.2, "repeat"))
    ]
    assert against_itself.verdict_of(pair).winner == "repeat"
    bad = ["--backend", "hf_pytorch", "--results", str(tmp_path)]
    assert against_itself.main(bad) == 2
    assert "against_itself: unknown backend 'hf_pytorch'" in capsys.readouterr().err


def test_a_missed_goal_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unsound = Noise("unsound", lognormal, 0.012)
    monkeypatch.setattr(study, "kinds", lambda: [unsound])
    assert study.main(["--races", "300"]) == 0
    monkeypatch.setattr(rules, "LEVEL", 0.5)  # as if every second claim might be wrong
    monkeypatch.setattr(rules, "per_launch", lambda logs: logs.sum(axis=-1))
    assert study.main(["--races", "300"]) == 1
    assert "missed: unsound, launch sd 1.2 %:" in capsys.readouterr().err
