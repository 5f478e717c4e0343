"""Races that were never run: noise of windows whose true speeds are known.

A race is an array (races, participants, launches, rounds) of logarithms of seconds, one window a round
and all windows of the same work. Every kind of noise has what every launch has of its own, a normal
effect of its standard deviation, on top.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

RESIDUALS = Path(__file__).with_name("residuals.json")
Shape = tuple[int, int, int, int]  # races, participants, launches, rounds
Draw = Callable[[np.random.Generator, Shape], np.ndarray]

HIT_SHARE = 0.10  # of the turns, hit by other work
HIT_SCALE = 0.5  # mean of the logarithm of how much slower a hit turn is
SEEN_SHARE = 0.9  # of the hit turns, whose load the counters show


@dataclass(frozen=True)
class Noise:
    name: str
    draw: Draw  # without the effects of launches
    launch_sd: float = 0.012  # as the published A/A pairs show it

    def race(
        self, generator: np.random.Generator, shape: Shape, advantage: float = 0.0
    ) -> np.ndarray:
        """Logarithms of seconds; the first participant is faster by the logarithm `advantage`."""
        races, participants, launches, _ = shape
        logs = self.draw(generator, shape)
        logs = logs + generator.normal(0, self.launch_sd, (races, participants, launches, 1))
        logs[:, 0] -= advantage
        return logs


def lognormal(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    return generator.normal(0, 0.05, shape)


def heavy_tails(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    return 0.02 * generator.standard_t(2, shape)


def bursts(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Other work slows some turns. Where the load shows it, the whole round is taken again, once,
    and may be hit again."""
    hit = generator.random((2, *shape)) < HIT_SHARE
    slower = hit * generator.exponential(HIT_SCALE, hit.shape)
    seen = (hit & (generator.random(hit.shape) < SEEN_SHARE)).any(axis=2, keepdims=True)
    taken = np.where(seen[0], slower[1], slower[0])
    return taken + generator.normal(0, 0.02, shape)


def drift(generator: np.random.Generator, shape: Shape, total: float = 0.3) -> np.ndarray:
    """The machine becomes slower from turn to turn, by a third over the race. Turns are taken in the
    reverse order every other time."""
    _, participants, launches, rounds = shape
    place = np.arange(participants)[:, None, None]
    launch, round_ = np.arange(launches)[:, None], np.arange(rounds)
    reverse = (launch + round_) % 2 == 1
    turn = np.where(reverse, participants - 1 - place, place)
    turn = turn + participants * (rounds * launch + round_)
    slower = total * turn / (participants * launches * rounds)
    return slower + generator.normal(0, 0.02, shape)


def of_residuals(
    values: Sequence[float], generator: np.random.Generator, shape: Shape
) -> np.ndarray:
    return generator.choice(np.asarray(values), shape)


MADE_UP: dict[str, Draw] = {
    "lognormal, 5 %": lognormal,
    "heavy tails (t2)": heavy_tails,
    "bursts, a turn in ten": bursts,
    "drift of 30 %": drift,
}


def published() -> dict[str, Draw]:
    """Resamples the residuals of published windows. See `residuals.py`."""
    pools: dict[str, list[float]] = json.loads(RESIDUALS.read_text(encoding="utf-8"))["residuals"]
    return {name: partial(of_residuals, values) for name, values in pools.items()}


def kinds() -> list[Noise]:
    """All kinds of noise: each as published launches differ, and one of each sort as quietly and as
    strongly as they may differ."""
    draws = published() | MADE_UP
    varied = [name for name in draws if name in ("tuning, TensorFlow on MNLI", "lognormal, 5 %")]
    return [Noise(name, draw) for name, draw in draws.items()] + [
        Noise(name, draws[name], launch_sd) for name in varied for launch_sd in (0.0, 0.02)
    ]
