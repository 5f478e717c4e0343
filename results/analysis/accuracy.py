"""Accuracy over seeds, and paired tests between backends from their kept predictions.

There are two uncertainties. The first is that of the evaluation set (how the score would change on
other examples: Wilson's interval, or a bootstrap for macro F1) The second is that of the seeds
(how it changes when training is repeated: Student's t over seeds). More seeds reduce only the second.

A predictions file is an .npz in the run's folder with, for every evaluation set `s`, the
arrays `s_logits` float (examples, labels) and `s_labels` int (examples,).
"""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results import scores
from results.analysis import evidence
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
from results.schema import FEWEST_SEEDS, Accuracy


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


@dataclass(frozen=True)
class VerdictRow:
    """Two backends on one evaluation set, over the seeds that both trained with."""

    first: str
    second: str
    evaluation_set: str
    seeds: tuple[int, ...]
    accuracy: evidence.PairedAccuracy | None  # None below two seeds
    agreement: float  # share of examples with the same predicted label, mean over seeds
    # The same between two seeds of one backend: what another seed alone changes.
    agreement_between_seeds: tuple[float | None, float | None]
    collapsed: tuple[int, int]  # trainings that predict a single label

    def sentence(self, first: str, second: str) -> str:
        """The verdict in one sentence, with the backends' titles."""
        if self.accuracy is None:
            return (
                "Whether two backends are equally accurate cannot be told from one seed; "
                f"{FEWEST_SEEDS} paired seeds are needed."
            )
        return _sentence(self.accuracy, first, second, self.evaluation_set)


def _sentence(found: evidence.PairedAccuracy, first: str, second: str, on: str) -> str:
    better, worse = (first, second) if found.difference >= 0 else (second, first)
    points = f"{100 * abs(found.difference):.2f} points"
    basis = f"{found.seeds} seeds, {found.examples:,} examples"
    if found.verdict == "equivalent":
        low, high = 100 * found.narrow.low, 100 * found.narrow.high
        return (
            f"{first} and {second} are equally accurate on {on} within "
            f"{_points(100 * found.margin)}: the difference is {100 * found.difference:+.2f} points "
            f"(90 % interval {low:+.2f} to {high:+.2f}; {basis})."
        )
    if found.verdict == "different":
        ends = sorted(100 * abs(end) for end in (found.interval.low, found.interval.high))
        return (
            f"{better} is more accurate than {worse} on {on} by {points} "
            f"(95 % interval {ends[0]:.2f} to {ends[1]:.2f}; {basis})."
        )
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return (
        f"Whether {first} and {second} are equally accurate on {on} cannot be told from {basis}: the "
        f"difference is {100 * found.difference:+.2f} points (95 % interval {low:+.2f} to "
        f"{high:+.2f}). {_needed(found)}"
    )


def _points(value: float) -> str:
    return f"{value:g} point" + ("" if value == 1 else "s")


def _needed(found: evidence.PairedAccuracy) -> str:
    ways = []
    if found.seeds_needed:
        ways.append(f"{found.seeds_needed} seeds")
    if found.examples_needed:
        ways.append(f"{found.examples_needed:,} examples")
    return f"About {' or '.join(ways)} would tell." if ways else "More of both are needed."


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
    found = [a.scores[name] for _, a in trained]
    accuracy = mean_estimate([s.accuracy for s in found])
    f1 = mean_estimate([s.macro_f1 for s in found])
    examples = found[0].examples
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
        *_from_predictions([e for e, _ in trained], name),
        loss=float(np.mean([s.loss for s in found])),
        steps=runs[0].steps,
        training_examples=runs[0].examples,
        training_seconds=float(np.mean([a.training_seconds for a in runs])),
        first_step_seconds=float(np.mean([a.first_step_seconds for a in runs])),
        evaluation_seconds=float(np.mean([a.evaluation_seconds for a in runs])),
    )


def _from_predictions(
    entries: Sequence[Entry], name: str
) -> tuple[float | None, float | None, np.ndarray | None]:
    """Weighted F1, expected calibration error and confusion counts, means over seeds."""
    kept = [predictions(entry, name) for entry in entries]
    found = [both for both in kept if both is not None]
    if len(found) < len(kept) or len({logits.shape for logits, _ in found}) > 1:
        return None, None, None
    counts = [scores.confusion(b, a.argmax(axis=1), a.shape[1]) for a, b in found]
    return (
        float(np.mean([scores.weighted_f1(c) for c in counts])),
        float(np.mean([scores.calibration_error(a, b) for a, b in found])),
        np.mean(counts, axis=0),
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
                        rows += paired(ours, theirs, sorted(a.scores.keys() & b.scores.keys()))
    return sorted(rows, key=lambda r: (r.evaluation_set, r.first, r.second, r.seed))


def verdict_rows(compared: Sequence[Group], margin: float) -> list[VerdictRow]:
    """Every two backends of one comparison on every evaluation set, over the seeds that both have
    and whose labels are the same example by example. `margin`: a share; differences inside it count
    as equal."""
    rows = []
    for first, second in itertools.combinations(compared, 2):
        if first.backend == second.backend:
            continue
        ours, theirs = _by_seed(first), _by_seed(second)
        for name in sorted(
            {n for e in ours.values() for n in e.measurement.require(Accuracy).scores}
        ):
            row = _verdict_row(name, (first.backend, second.backend), ours, theirs, margin)
            rows += [row] if row else []
    return rows


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
    trained = [a for _, a in _accuracies(group.entries)]
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


def _by_seed(group: Group) -> dict[int, Entry]:
    return {accuracy.seed: entry for entry, accuracy in _accuracies(group.entries)}


def _verdict_row(
    name: str,
    backends: tuple[str, str],
    ours: Mapping[int, Entry],
    theirs: Mapping[int, Entry],
    margin: float,
) -> VerdictRow | None:
    pairs = {}
    for seed in sorted(ours.keys() & theirs.keys()):
        a, b = predictions(ours[seed], name), predictions(theirs[seed], name)
        if a is not None and b is not None and np.array_equal(a[1], b[1]):
            pairs[seed] = (a[0].argmax(axis=1), b[0].argmax(axis=1), a[1])
    if not pairs or len({len(labels) for _, _, labels in pairs.values()}) > 1:
        return None
    first, second, labels = (np.stack(column) for column in zip(*pairs.values(), strict=True))
    return VerdictRow(
        *backends,
        name,
        tuple(pairs),
        evidence.compare(first == labels, second == labels, margin) if len(pairs) > 1 else None,
        evidence.agreement(first, second),
        (evidence.agreement_between_seeds(first), evidence.agreement_between_seeds(second)),
        (sum(map(evidence.collapsed, first)), sum(map(evidence.collapsed, second))),
    )


def paired(ours: Entry, theirs: Entry, sets: Sequence[str]) -> list[PairRow]:
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
