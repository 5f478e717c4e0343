"""The rules that name winners, for many simulated races at once. The intervals are those of
`results.analysis.statistics`; the tests hold the rules against `results.analysis.verdict`."""

from __future__ import annotations

import numpy as np

from results.analysis.speed import LOOK_SHARE
from results.analysis.statistics import LEVEL, mean_bounds, median_bounds
from results.analysis.verdict import FEWEST_ROUNDS, ONE_LAUNCH_LEAD
from results.schema import LOOKS

MARGIN = 0.05
NOBODY = -1


def per_launch(logs: np.ndarray) -> np.ndarray:
    """Logarithms of a launch's seconds: (races, participants, launches)."""
    found: np.ndarray = np.log(np.exp(logs).sum(axis=-1))
    return found


def winners(logs: np.ndarray, error: float = 1 - LEVEL) -> np.ndarray:
    """The winner of every race of several launches, or -1."""
    launches = per_launch(logs)
    races, participants, _ = launches.shape
    found = np.full(races, NOBODY)
    level = 1 - error / (participants - 1)
    for one in range(participants):
        others = [other for other in range(participants) if other != one]
        low, _ = mean_bounds(launches[:, others] - launches[:, [one]], level)
        found[(low > 0).all(axis=1)] = one
    return found


def equal(logs: np.ndarray, error: float = 1 - LEVEL) -> np.ndarray:
    """Whether the first two participants of every race are called equal."""
    launches = per_launch(logs)
    low, high = mean_bounds(launches[:, 1] - launches[:, 0], 1 - 2 * error)
    inside: np.ndarray = (low > -np.log1p(MARGIN)) & (high < np.log1p(MARGIN))
    return inside


def covers(logs: np.ndarray, advantage: float) -> np.ndarray:
    """Whether the interval of the first two participants' ratio holds the truth."""
    launches = per_launch(logs)
    low, high = mean_bounds(launches[:, 1] - launches[:, 0])
    inside: np.ndarray = (low <= advantage) & (advantage <= high)
    return inside


def sequential(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The winner, whether the two are called equal, and how many launches every race took that ends
    at the first look that decides it; of two participants and 12 launches."""
    error = (1 - LEVEL) * LOOK_SHARE
    races = len(logs)
    won, same = np.full(races, NOBODY), np.zeros(races, dtype=bool)
    taken = np.full(races, LOOKS[-1])
    running = np.ones(races, dtype=bool)
    for look in LOOKS:
        now, alike = winners(logs[:, :, :look], error), equal(logs[:, :, :look], error)
        decided = running & ((now != NOBODY) | alike)
        won[decided], taken[decided] = now[decided], look
        same[decided] = alike[decided] & (now[decided] == NOBODY)
        running &= ~decided
    return won, same, taken


def winners_of_one_launch(logs: np.ndarray) -> np.ndarray:
    """The winner of every race of one launch, (races, participants, 1, rounds), or -1."""
    rounds = logs[:, :, 0]
    races, participants, count = rounds.shape
    found = np.full(races, NOBODY)
    for one in range(participants):
        others = [other for other in range(participants) if other != one]
        ratios = rounds[:, others] - rounds[:, [one]]
        bounds = median_bounds(ratios, 1 - (1 - LEVEL) / (participants - 1))
        if bounds is not None and count >= FEWEST_ROUNDS:
            found[(bounds[0] > np.log(ONE_LAUNCH_LEAD)).all(axis=1)] = one
    return found


def winners_before(logs: np.ndarray, again: np.ndarray) -> np.ndarray:
    """The rule before launches: one launch of 6 rounds of two windows, whose bootstrap interval is
    the least to the largest, and a lead beyond the noise floor, the farther end of the interval of
    the first participant against itself, `again` (races, 12). Of two participants."""
    first, second = (_by_round(logs[:, i, 0]) for i in (0, 1))
    noise = np.abs(_by_round(again) - first).max(axis=1)
    found = np.full(len(logs), NOBODY)
    for one, lead in ((0, second - first), (1, first - second)):
        found[(lead.min(axis=1) > 0) & (np.median(lead, axis=1) > noise)] = one
    return found


def _by_round(windows: np.ndarray) -> np.ndarray:
    """Medians of two windows each: (races, rounds)."""
    found: np.ndarray = np.median(windows.reshape(len(windows), -1, 2), axis=2)
    return found
