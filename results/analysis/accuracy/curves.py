"""Learning curves of trainings: by step, epoch and seconds, with the mean over seeds. Pure functions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from results.schema import Accuracy, CurvePoint

MOST = 300  # points of one curve


@dataclass(frozen=True)
class CurveValue:
    step: float
    value: float  # not finite where the training diverged
    seconds: float | None = None  # of training; interpolated between evaluations


@dataclass(frozen=True)
class Curve:
    backend: str
    seed: int | None  # None: the mean over seeds
    points: Sequence[CurveValue]
    epochs_per_step: float | None = None
    thin: bool = False  # one seed of several


def training_curve(
    backend: str, a: Accuracy, epochs: float | None, value: Callable[[CurvePoint], float | None]
) -> Curve | None:
    """What `value` gives of every recorded step, at most `MOST` points, each the mean of its
    neighbours; None for fewer than 2."""
    points = [(float(p.step), v) for p in a.curve if (v := value(p)) is not None]
    if len(points) < 2:
        return None
    steps, values = _thinned([s for s, _ in points]), _thinned([v for _, v in points])
    return Curve(
        backend,
        a.seed,
        [CurveValue(step, v, seconds_at(a, step)) for step, v in zip(steps, values, strict=True)],
        _epochs_per_step(a, epochs),
    )


def evaluation_curve(
    backend: str, a: Accuracy, epochs: float | None, evaluation_set: str
) -> Curve | None:
    """The accuracy on one set at every evaluation during training, in percent."""
    points = [
        CurveValue(e.step, 100 * e.scores[evaluation_set].accuracy, e.training_seconds)
        for e in a.evaluations
        if evaluation_set in e.scores
    ]
    if len(points) < 2:
        return None
    return Curve(backend, a.seed, points, _epochs_per_step(a, epochs))


def with_means(curves: Sequence[Curve]) -> list[Curve]:
    """The curves, those of a backend with several seeds as thin ones with their mean behind them."""
    found: list[Curve] = []
    for backend in dict.fromkeys(curve.backend for curve in curves):
        same = [curve for curve in curves if curve.backend == backend]
        if len(same) == 1:
            found += same
            continue
        found += [dataclasses.replace(c, thin=True) for c in same]
        found.append(Curve(backend, None, _mean(same), same[0].epochs_per_step))
    return found


def seconds_at(a: Accuracy, step: float) -> float | None:
    """Training seconds up to a step, interpolated between the evaluations; None where there are
    none."""
    if not a.evaluations:
        return None
    known = [(0.0, 0.0), *((float(e.step), e.training_seconds) for e in a.evaluations)]
    if step > known[-1][0]:
        return None
    return float(np.interp(step, [s for s, _ in known], [t for _, t in known]))


def _epochs_per_step(a: Accuracy, epochs: float | None) -> float | None:
    return epochs / a.steps if epochs and a.steps else None


def _mean(curves: Sequence[Curve]) -> list[CurveValue]:
    """At the steps that every seed has."""
    by_step = [{p.step: p for p in c.points} for c in curves]
    found = []
    for step in (p.step for p in curves[0].points if all(p.step in c for c in by_step)):
        points = [c[step] for c in by_step]
        seconds = [p.seconds for p in points if p.seconds is not None]
        found.append(
            CurveValue(
                step,
                sum(p.value for p in points) / len(points),
                sum(seconds) / len(seconds) if seconds else None,
            )
        )
    return found


def _thinned(values: Sequence[float]) -> list[float]:
    size = max(1, math.ceil(len(values) / MOST))
    return [
        sum(values[i : i + size]) / len(values[i : i + size]) for i in range(0, len(values), size)
    ]
