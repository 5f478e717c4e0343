"""Accuracy over seeds, and paired tests between backends from their kept predictions.

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

from results.analysis.groups import Entry, Group
from results.analysis.statistics import (
    Estimate,
    Interval,
    macro_f1_interval,
    mcnemar,
    mean_estimate,
    paired_difference,
    wilson,
)
from results.schema import Accuracy


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
    loss: float
    steps: int
    training_examples: int
    training_seconds: float  # mean over seeds; without evaluation
    first_step_seconds: float
    evaluation_seconds: float


@dataclass(frozen=True)
class PairRow:
    """Two backends on the same evaluation examples, same seed."""

    first: str
    second: str
    evaluation_set: str
    seed: int
    difference: Estimate  # accuracy of first minus second
    p_value: float
    agreement: float  # share of examples with the same predicted label


def score_rows(group: Group) -> list[ScoreRow]:
    """One row per evaluation set; none where nothing was trained."""
    trained = [t for t in group.entries if t.measurement.status == "ok" and t.measurement.accuracy]
    sets = sorted({name for _, a in _accuracies(trained) for name in a.scores})
    return [
        _score_row(group, name, [(t, a) for t, a in _accuracies(trained) if name in a.scores])
        for name in sets
    ]


def _accuracies(entries: Sequence[Entry]) -> list[tuple[Entry, Accuracy]]:
    return [(t, t.measurement.accuracy) for t in entries if t.measurement.accuracy]


def _score_row(group: Group, name: str, trained: Sequence[tuple[Entry, Accuracy]]) -> ScoreRow:
    scores = [a.scores[name] for _, a in trained]
    accuracy = mean_estimate([s.accuracy for s in scores])
    f1 = mean_estimate([s.macro_f1 for s in scores])
    examples = scores[0].examples
    runs = [a for _, a in trained]
    return ScoreRow(
        group,
        name,
        tuple(sorted(a.seed for a in runs)),
        examples,
        accuracy.value,
        wilson(min(accuracy.value * examples, examples), examples),
        accuracy.interval,
        f1.value,
        _f1_interval(trained[0][0], name) if len(trained) == 1 else None,
        f1.interval,
        loss=float(np.mean([s.loss for s in scores])),
        steps=runs[0].steps,
        training_examples=runs[0].examples,
        training_seconds=float(np.mean([a.training_seconds for a in runs])),
        first_step_seconds=float(np.mean([a.first_step_seconds for a in runs])),
        evaluation_seconds=float(np.mean([a.evaluation_seconds for a in runs])),
    )


def _f1_interval(entry: Entry, evaluation_set: str) -> Interval | None:
    kept = predictions(entry, evaluation_set)
    if kept is None:
        return None
    logits, labels = kept
    return macro_f1_interval(labels, logits.argmax(axis=1), logits.shape[1])


def predictions(entry: Entry, evaluation_set: str) -> tuple[np.ndarray, np.ndarray] | None:
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


def pair_rows(compared: Sequence[Group]) -> list[PairRow]:
    """Every two backends of one comparison, on every evaluation set and seed that both have and
    whose labels are the same example by example."""
    rows = []
    for i, first in enumerate(compared):
        for second in compared[i + 1 :]:
            for ours, a in _accuracies(first.entries):
                for theirs, b in _accuracies(second.entries):
                    if a.seed == b.seed and first.backend != second.backend:
                        rows += _pairs(ours, theirs, sorted(a.scores.keys() & b.scores.keys()))
    return sorted(rows, key=lambda r: (r.evaluation_set, r.first, r.second, r.seed))


def over_seeds(rows: Sequence[PairRow]) -> list[tuple[PairRow, Estimate, int]]:
    """The mean difference of every pair that has several seeds, with Student's t interval over
    them: (one of the pair's rows, the estimate, how many seeds)."""
    found: dict[tuple[str, str, str], list[PairRow]] = {}
    for row in rows:
        found.setdefault((row.evaluation_set, row.first, row.second), []).append(row)
    return [
        (same[0], mean_estimate([r.difference.value for r in same]), len(same))
        for same in found.values()
        if len(same) > 1
    ]


def _pairs(ours: Entry, theirs: Entry, sets: Sequence[str]) -> list[PairRow]:
    rows = []
    for name in sets:
        first, second = predictions(ours, name), predictions(theirs, name)
        if first is None or second is None or not np.array_equal(first[1], second[1]):
            continue
        labels = first[1]
        ours_says, theirs_says = first[0].argmax(axis=1), second[0].argmax(axis=1)
        only_first = int(np.sum((ours_says == labels) & (theirs_says != labels)))
        only_second = int(np.sum((ours_says != labels) & (theirs_says == labels)))
        rows.append(
            PairRow(
                ours.measurement.job.backend,
                theirs.measurement.job.backend,
                name,
                ours.measurement.require(Accuracy).seed,
                paired_difference(only_first, only_second, len(labels)),
                mcnemar(only_first, only_second),
                float(np.mean(ours_says == theirs_says)),
            )
        )
    return rows
