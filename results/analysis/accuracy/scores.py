"""Accuracy of one backend over its seeds, and when it reached a target.

There are two uncertainties. The first is that of the evaluation set (how the score would change on
other examples: Wilson's interval, or a bootstrap for macro F1) The second is that of the seeds
(how it changes when training is repeated: Student's t over seeds). More seeds reduce only the second.

A predictions file is an .npz in the run's folder with, for every evaluation set `s`, the
arrays `s_logits` float (examples, labels) and `s_labels` int (examples,).
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from results import scores
from results.analysis.groups import Entry, Group
from results.analysis.statistics import (
    Estimate,
    Interval,
    macro_f1_interval,
    mean_estimate,
    wilson,
)
from results.schema import Accuracy

Predictions = tuple[np.ndarray, np.ndarray]  # logits (examples, labels), labels (examples,)


@dataclass(frozen=True)
class ScoreRow:
    """One backend on one evaluation set, over its seeds."""

    group: Group
    evaluation_set: str
    seeds: tuple[int, ...]
    examples: int
    accuracy: float  # mean over seeds
    accuracy_interval: Interval  # of the evaluation set
    accuracy_over_seeds: Interval | None  # None for a single seed
    macro_f1: float
    macro_f1_interval: Interval | None  # None without predictions, or for several seeds
    macro_f1_over_seeds: Interval | None
    # Of the recorded predictions, means over seeds; None where a seed's cannot be read.
    weighted_f1: float | None
    calibration_error: float | None
    confusion: np.ndarray | None  # mean counts (labels, predicted labels)
    loss: float
    metrics: dict[str, Estimate]  # further ones that were asked for, over seeds
    steps: tuple[int, ...]  # the fewest and the most of a seed; one number where they are equal
    training_examples: int
    training_seconds: float  # mean over seeds; without evaluation
    first_step_seconds: float
    evaluation_seconds: float


def score_rows(group: Group) -> list[ScoreRow]:
    """One row per evaluation set; none where nothing was trained."""
    trained = [t for t in group.entries if t.measurement.status == "ok" and t.measurement.accuracy]
    sets = sorted({name for _, a in accuracies(trained) for name in a.scores})
    return [
        _score_row(group, name, [(t, a) for t, a in accuracies(trained) if name in a.scores])
        for name in sets
    ]


def accuracies(entries: Sequence[Entry]) -> list[tuple[Entry, Accuracy]]:
    return [(t, t.measurement.accuracy) for t in entries if t.measurement.accuracy]


def _score_row(group: Group, name: str, trained: Sequence[tuple[Entry, Accuracy]]) -> ScoreRow:
    found = [a.scores[name] for _, a in trained]
    accuracy = mean_estimate([s.accuracy for s in found])
    f1 = mean_estimate([s.macro_f1 for s in found])
    examples = found[0].examples
    runs = [a for _, a in trained]
    kept = [predictions(entry, name) for entry, _ in trained]
    return ScoreRow(
        group,
        name,
        tuple(sorted(a.seed for a in runs)),
        examples,
        accuracy.value,
        wilson(min(accuracy.value * examples, examples), examples),
        accuracy.interval,
        f1.value,
        _f1_interval(kept[0]) if len(kept) == 1 else None,
        f1.interval,
        *_from_predictions(kept),
        loss=float(np.mean([s.loss for s in found])),
        metrics={
            metric: mean_estimate([(s.metrics or {})[metric] for s in found])
            for metric in found[0].metrics or {}
            if all(metric in (s.metrics or {}) for s in found)
        },
        steps=tuple(sorted({min(a.steps for a in runs), max(a.steps for a in runs)})),
        training_examples=runs[0].examples,
        training_seconds=float(np.mean([a.training_seconds for a in runs])),
        first_step_seconds=float(np.mean([a.first_step_seconds for a in runs])),
        evaluation_seconds=float(np.mean([a.evaluation_seconds for a in runs])),
    )


def _from_predictions(
    kept: Sequence[Predictions | None],
) -> tuple[float | None, float | None, np.ndarray | None]:
    """Weighted F1, expected calibration error and confusion counts, means over seeds."""
    found = [both for both in kept if both is not None]
    if len(found) < len(kept) or len({logits.shape for logits, _ in found}) > 1:
        return None, None, None
    counts = [scores.confusion(b, a.argmax(axis=1), a.shape[1]) for a, b in found]
    return (
        float(np.mean([scores.weighted_f1(c) for c in counts])),
        float(np.mean([scores.calibration_error(a, b) for a, b in found])),
        np.mean(counts, axis=0),
    )


def _f1_interval(kept: Predictions | None) -> Interval | None:
    if kept is None:
        return None
    logits, labels = kept
    return macro_f1_interval(labels, logits.argmax(axis=1), logits.shape[1])


def predictions(entry: Entry, evaluation_set: str) -> Predictions | None:
    """Logits (examples, labels) and labels (examples,); None where they were not kept or cannot be
    read any more: then only the figures computed from them are absent."""
    accuracy = entry.measurement.accuracy
    if entry.folder is None or accuracy is None or not accuracy.predictions_file:
        return None
    folder = entry.folder.resolve()
    path = (folder / accuracy.predictions_file).resolve()
    if not path.is_relative_to(folder):  # a measurement from elsewhere reads no other file
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            logits, labels = file[f"{evaluation_set}_logits"], file[f"{evaluation_set}_labels"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    return (logits, labels) if _well_formed(logits, labels) else None


def _well_formed(logits: np.ndarray, labels: np.ndarray) -> bool:
    return (
        logits.ndim == 2
        and labels.shape == logits.shape[:1]
        and len(labels) > 0
        and np.issubdtype(labels.dtype, np.integer)
        and bool(((labels >= 0) & (labels < logits.shape[1])).all())
    )


@dataclass(frozen=True)
class TargetRow:
    """When one backend's trainings reached a target accuracy."""

    group: Group
    evaluation_set: str
    target: float
    seconds: dict[int, float | None]  # of training, by seed, without evaluation; None: never
    first_step_seconds: float  # the part of them that compiles, mean over seeds

    @property
    def over_seeds(self) -> Estimate | None:
        """Mean over seeds; None where a seed never reached the target: leaving it out would
        flatter."""
        reached = [s for s in self.seconds.values() if s is not None]
        return mean_estimate(reached) if len(reached) == len(self.seconds) else None


def target_rows(group: Group, target: float) -> list[TargetRow]:
    """One row per evaluation set: for every seed the training seconds until the first evaluation at
    or above `target`, a share."""
    trained = [a for _, a in accuracies(group.entries)]
    rows = []
    for name in sorted({name for a in trained for name in a.scores}):
        seconds = {a.seed: _reached(a, name, target) for a in trained if name in a.scores}
        first = float(np.mean([a.first_step_seconds for a in trained]))
        rows.append(TargetRow(group, name, target, dict(sorted(seconds.items())), first))
    return rows


def _reached(accuracy: Accuracy, name: str, target: float) -> float | None:
    return next(
        (
            point.training_seconds
            for point in sorted(accuracy.evaluations, key=lambda p: p.step)
            if name in point.scores and point.scores[name].accuracy >= target
        ),
        None,
    )
