"""What is tracked, under names that are the same for every backend and every tracker.

| name | what it is |
| --- | --- |
| `train/loss`, `train/learning_rate`, `train/gradient_norm` | of every `log_interval`-th step and the last |
| `evaluation/SET/accuracy`, `.../macro_f1`, `.../loss` | of every evaluation, at its step |
| `evaluation/training_seconds` | seconds of training until that evaluation |
| `final/...` | the scores of the weights that are kept, their step, the seconds, and whether it failed |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from benchmarks.harness.jobs.attempt import Ready
from benchmarks.harness.jobs.events import EvaluationEnded, Event, TrainingProgress
from benchmarks.harness.trackers.lines import Config, Metrics, Point
from results import export
from results.schema import CurvePoint, Measurement, Score

FIGURES = ("accuracy", "macro_f1", "loss")  # of an evaluation set
SECONDS = ("training_seconds", "evaluation_seconds", "first_step_seconds")


def points_of(event: Event) -> list[Point]:
    """The points that an event of a training brings, in the order of their steps."""
    if isinstance(event, TrainingProgress):
        return curve(event.points)
    if not isinstance(event, EvaluationEnded):
        return []
    found = event.evaluation
    metrics = scores("evaluation", found.scores)
    metrics["evaluation/training_seconds"] = found.training_seconds
    return [*curve(event.points), Point(step=found.step, metrics=metrics)]


def curve(points: Sequence[CurvePoint]) -> list[Point]:
    found = []
    for point in points:
        metrics = {"train/loss": point.loss, "train/learning_rate": point.learning_rate}
        if point.gradient_norm is not None:
            metrics["train/gradient_norm"] = point.gradient_norm
        found.append(Point(step=point.step, metrics=metrics))
    return found


def scores(kind: str, by_set: Mapping[str, Score]) -> Metrics:
    """Without metrics that have no value, for which some trackers have no place."""
    found: Metrics = {}
    for name, score in by_set.items():
        values = {figure: getattr(score, figure) for figure in FIGURES} | (score.metrics or {})
        found |= {
            f"{kind}/{name}/{figure}": value for figure, value in values.items() if isfinite(value)
        }
    return found


def summary(m: Measurement) -> Metrics:
    """Of a training that ended, in whatever way."""
    accuracy = m.accuracy
    if accuracy is None:
        return {"final/failed": 1}
    seconds = {f"final/{name}": getattr(accuracy, name) for name in SECONDS}
    of_end = {"final/step": accuracy.kept_step, "final/failed": 0}
    return scores("final", accuracy.scores) | seconds | of_end


def config(ready: Ready) -> Config:
    """What decides a training: job, recipe, data, checkpoint, device and versions; no variables of
    the environment, no paths."""
    key, data, start = ready.job.key, ready.data, ready.checkpoint
    found: dict[str, Any] = {
        "backend": key.backend,
        "task": key.task,
        "change": key.change,
        "checkpoint": start.name,
        "data": data.description,
        "data_fingerprint": data.fingerprint,
        "train_examples": data.train_examples,
        "device": ready.job.device.name,
    }
    found |= {f"recipe/{name}": value for name, value in ready.job.recipe.model_dump().items()}
    found |= {f"version/{name}": version for name, version in ready.where.versions.items()}
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> str | float | bool | None:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def figures(measurements: Iterable[Measurement]) -> Metrics:
    """The figures of a whole run: `JOB/FIGURE`, or `JOB/FIGURE/PART` of an evaluation set or a
    budget. Single windows are left out."""
    return {
        "/".join(filter(None, (m.job.id, figure, part.removeprefix("all windows")))): value
        for m in measurements
        for figure, part, value in export.figures(m)
        if value is not None and not part.startswith("round ")
    }
