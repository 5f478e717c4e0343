"""What each named change does to the accuracy, seed by seed, and how smooth its training was. Pure
functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np

from results.analysis.accuracy.evidence import collapsed, crossed_mean
from results.analysis.accuracy.pairs import answers, by_seed
from results.analysis.accuracy.scores import predictions
from results.analysis.groups import Entry, Group, groups
from results.analysis.statistics import Estimate, Interval, Z, mean_estimate
from results.schema import PLAIN, Accuracy

THIRDS = 3
FEWEST_LOOKS = 4  # evaluations that a jitter needs


@dataclass(frozen=True)
class Trained:
    """One backend under one change, over its seeds."""

    change: str
    group: Group

    @property
    def trainings(self) -> list[Accuracy]:
        return [m.accuracy for m in self.group.ok if m.accuracy]

    @property
    def recipe(self) -> dict[str, Any]:
        return self.group.recipe

    @property
    def train_examples(self) -> int | None:
        found = [m.data.train_examples for m in self.group.ok if m.data]
        return found[0] if found else None

    @property
    def training_seconds(self) -> float:
        return float(np.mean([a.training_seconds for a in self.trainings]))

    def by_seed(self, evaluation_set: str) -> dict[int, float]:
        return {
            a.seed: a.scores[evaluation_set].accuracy
            for a in self.trainings
            if evaluation_set in a.scores
        }

    def collapsed(self, evaluation_set: str) -> int:
        """How many trainings predict one label for all examples, as far as predictions were kept."""
        kept = [predictions(entry, evaluation_set) for entry in self.group.entries]
        return sum(collapsed(logits.argmax(-1)) for logits, _ in filter(None, kept))

    def is_of_other_examples(self, other: Trained, evaluation_set: str) -> bool:
        """Whether the two were evaluated on different examples, as far as it was recorded."""
        found = {
            one.fingerprint
            for trained in (self, other)
            for m in trained.group.ok
            for one in (m.data.sets if m.data else [])
            if one.name == evaluation_set and one.fingerprint
        }
        return len(found) > 1

    def set_variance(self, evaluation_set: str) -> float:
        """Of the mean accuracy, were it measured on other examples."""
        share = float(np.mean(list(self.by_seed(evaluation_set).values())))
        return share * (1 - share) / self.trainings[0].scores[evaluation_set].examples


@dataclass(frozen=True)
class Difference(Estimate):
    """Of a change; the interval is over other seeds and other examples, none for a single seed."""

    paired: bool = True  # example by example; False: other examples, or no recorded predictions


@dataclass(frozen=True)
class AccuracyStudy:
    """The changes of one backend on one task, the plain recipe first."""

    run: str
    task: str
    backend: str
    changes: list[Trained]

    @property
    def plain(self) -> Trained:
        return self.changes[0]

    @property
    def evaluation_sets(self) -> list[str]:
        return sorted({name for a in self.plain.trainings for name in a.scores})

    def difference(self, change: Trained, evaluation_set: str) -> Difference | None:
        """Accuracy less the plain recipe's, over the seeds that both trained with: a share; None
        without such a seed.

        Where both were evaluated on the same examples they are compared example by example. Else the
        interval adds the uncertainty of the two evaluation sets, as independent ones, to that of the
        seeds."""
        plain, changed = self.plain.by_seed(evaluation_set), change.by_seed(evaluation_set)
        seeds = sorted(plain.keys() & changed.keys())
        if not seeds:
            return None
        found = mean_estimate([changed[seed] - plain[seed] for seed in seeds])
        if found.interval is None:
            return Difference(found.value, None)
        pairs = answers(by_seed(change.group), by_seed(self.plain.group), evaluation_set)
        if self.plain.is_of_other_examples(change, evaluation_set) or len(pairs) < len(seeds):
            of_sets = sum(one.set_variance(evaluation_set) for one in (self.plain, change))
            half = sqrt((found.interval.width / 2) ** 2 + Z**2 * of_sets)
            interval = Interval(found.value - half, found.value + half)
            return Difference(found.value, interval, paired=False)
        right = [
            (ours == labels) * 1.0 - (theirs == labels) for ours, theirs, labels in pairs.values()
        ]
        mean = crossed_mean(np.stack(right))
        return Difference(mean.value, mean.interval())


def curve_gap(plain: Sequence[Accuracy], change: Sequence[Accuracy]) -> float | None:
    """The largest difference of two training losses at the same step of the same seed, in nats; None
    where no step is shared or a loss is not finite."""
    losses = {(a.seed, p.step): p.loss for a in plain for p in a.curve}
    gaps = [
        abs(p.loss - losses[a.seed, p.step])
        for a in change
        for p in a.curve
        if (a.seed, p.step) in losses
    ]
    return max(gaps) if gaps and np.isfinite(gaps).all() else None


def accuracy_studies(entries: Iterable[Entry]) -> list[AccuracyStudy]:
    """One per run, task and backend that was trained with named changes and without one."""
    found: dict[tuple[str, str, str], list[Trained]] = {}
    asked = [e for e in entries if e.measurement.job.change]
    for group in groups([e for e in asked if e.measurement.job.question == "accuracy"]):
        where = group.comparison
        if where.change:
            key = where.run, where.task, group.backend
            found.setdefault(key, []).append(Trained(where.change, group))
    return [
        AccuracyStudy(*key, sorted(changes, key=lambda c: c.change != PLAIN))
        for key, changes in found.items()
        if any(c.change == PLAIN and c.trainings for c in changes) and len(changes) > 1
    ]


@dataclass(frozen=True)
class NormThird:
    """The gradient norms before clipping of a third of the training's steps."""

    mean: float
    maximum: float
    variance: float


def norm_thirds(trainings: Sequence[Accuracy]) -> list[NormThird] | None:
    """First, middle and last third of the recorded steps, all seeds together; None where norms were
    not recorded, are not finite, or are fewer than two per third."""
    thirds: list[list[float]] = [[] for _ in range(THIRDS)]
    for a in trainings:
        for point in a.curve:
            if point.gradient_norm is None:
                return None
            third = min(THIRDS - 1, THIRDS * (point.step - 1) // max(1, a.steps))
            thirds[third].append(point.gradient_norm)
    if any(len(norms) < 2 or not np.isfinite(norms).all() for norms in thirds):
        return None
    return [
        NormThird(float(np.mean(n)), float(np.max(n)), float(np.var(n, ddof=1))) for n in thirds
    ]


def jitter(losses: Sequence[float]) -> float | None:
    """How far an evaluation loss jumps about its course: the root mean square of its second
    differences over the square root of 6. It is 0 on a straight line, and the standard deviation of
    noise that is independent from one evaluation to the next. None below `FEWEST_LOOKS` evaluations."""
    if len(losses) < FEWEST_LOOKS or not np.isfinite(losses).all():
        return None
    return float(np.sqrt(np.mean(np.diff(losses, 2) ** 2) / 6))


def evaluation_losses(a: Accuracy, evaluation_set: str, every: int) -> list[float]:
    """The evaluation losses at the steps that are multiples of `every`."""
    return [
        point.scores[evaluation_set].loss
        for point in sorted(a.evaluations, key=lambda p: p.step)
        if evaluation_set in point.scores and point.step % every == 0
    ]


def mean_jitter(trainings: Sequence[Accuracy], evaluation_set: str, every: int) -> float | None:
    """The root mean square of the seeds' jitters; None where one seed has none."""
    found = [jitter(evaluation_losses(a, evaluation_set, every)) for a in trainings]
    kept = [value for value in found if value is not None]
    if not kept or len(kept) < len(found):
        return None
    return sqrt(sum(value**2 for value in kept) / len(kept))


@dataclass(frozen=True)
class Split:
    """The factor between the smoothest and the roughest of four curves: small batch or large, looked
    at rarely or often. `total` is `batch` times `looks`."""

    total: float
    batch: float
    looks: float


def split_jitter(
    small_often: float, small_rare: float, large_often: float, large_rare: float
) -> Split | None:
    """How much of the jitter comes from the batch and how much from looking rarely: of each, the
    geometric mean of its two effects. None where a jitter is 0."""
    if min(small_often, small_rare, large_often, large_rare) <= 0:
        return None
    batch = (log(small_often / large_often) + log(small_rare / large_rare)) / 2
    looks = (log(small_rare / small_often) + log(large_rare / large_often)) / 2
    return Split(float(np.exp(batch + looks)), float(np.exp(batch)), float(np.exp(looks)))
