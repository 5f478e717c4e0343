"""A figure over the runs of one machine, and where it changed by more than the noise. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.analysis.compare import Row
from results.analysis.memory import headline_memory
from results.analysis.over_runs.merge import Merged
from results.analysis.statistics import Interval


@dataclass(frozen=True)
class Moment:
    """One figure of one run."""

    run: str
    started_at: str
    versions: dict[str, str]
    value: float
    interval: Interval | None
    # Whether the figure left the interval of the run before it; None where one of them has none.
    changed: bool | None = None


@dataclass(frozen=True)
class Series:
    backend: str
    moments: tuple[Moment, ...]  # oldest first


FIGURES = ("training, steps/s", "peak memory, bytes", "accuracy")


def history(merged: Merged) -> dict[str, list[Series]]:
    """By figure, one series per backend that has it in at least two runs. An accuracy is named with
    its evaluation set."""
    found: dict[str, dict[str, list[Moment]]] = {}
    for rows in merged.history:
        for row in rows:
            for figure, moment in _moments(row):
                found.setdefault(figure, {}).setdefault(row.backend, []).append(moment)
    series = {
        figure: [
            Series(backend, _with_changes(moments))
            for backend, moments in sorted(backends.items())
            if len(moments) > 1
        ]
        for figure, backends in found.items()
    }
    return {figure: same for figure, same in series.items() if same}


def _moments(row: Row) -> list[tuple[str, Moment]]:
    found = []
    if row.speed:
        rate = row.speed.training
        found.append((FIGURES[0], _moment(row, "throughput", rate.steps_per_second, rate.interval)))
    if row.memory:
        kind = row.memory.group.entries[0].measurement.device.kind
        peak = row.memory.figures[headline_memory([row.memory], kind)]
        if peak:
            found.append((FIGURES[1], _moment(row, "memory", peak, None)))
    for score in row.scores:
        name = f"{FIGURES[2]} on {score.evaluation_set}"
        found.append((name, _moment(row, "accuracy", score.accuracy, score.accuracy_interval)))
    return found


def _moment(row: Row, question: str, value: float, interval: Interval | None) -> Moment:
    groups = next(same for name, same in row.groups.items() if name == question)
    measured = next(m for group in groups for m in group.ok)
    return Moment(row.comparison.run, measured.started_at, measured.versions, value, interval)


def _with_changes(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    found = [moments[0]]
    for before, moment in zip(moments, moments[1:], strict=False):
        found.append(
            Moment(
                moment.run,
                moment.started_at,
                moment.versions,
                moment.value,
                moment.interval,
                _is_change(before.interval, moment.interval),
            )
        )
    return tuple(found)


def _is_change(before: Interval | None, after: Interval | None) -> bool | None:
    """Two intervals that do not overlap: with 95 % intervals, chance does that in fewer than 1 of
    100 pairs."""
    if before is None or after is None:
        return None
    return before.high < after.low or after.high < before.low
