"""Two backends on the same examples with the same seeds: paired tests, and a verdict in a sentence."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results.analysis.accuracy import evidence
from results.analysis.accuracy.scores import accuracies, predictions
from results.analysis.groups import Entry, Group
from results.analysis.statistics import (
    Estimate,
    mcnemar,
    paired_difference,
)
from results.schema import FEWEST_SEEDS, Accuracy

# The labels that two participants predict and the true ones, int (examples,) each.
Answers = tuple[np.ndarray, np.ndarray, np.ndarray]


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
    lead = f"{100 * abs(found.difference):.2f} points"
    basis = f"{found.seeds} seeds, {found.examples:,} examples"
    if found.verdict == "equivalent":
        low, high = 100 * found.narrow.low, 100 * found.narrow.high
        return (
            f"{first} and {second} are equally accurate on {on} within "
            f"{points(100 * found.margin)}: the difference is {100 * found.difference:+.2f} points "
            f"(90 % interval {low:+.2f} to {high:+.2f}; {basis})."
        )
    if found.verdict == "different":
        ends = sorted(100 * abs(end) for end in (found.interval.low, found.interval.high))
        return (
            f"{better} is more accurate than {worse} on {on} by {lead} "
            f"(95 % interval {ends[0]:.2f} to {ends[1]:.2f}; {basis})."
        )
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return (
        f"Whether {first} and {second} are equally accurate on {on} cannot be told from {basis}: the "
        f"difference is {100 * found.difference:+.2f} points (95 % interval {low:+.2f} to "
        f"{high:+.2f}). {_needed(found)}"
    )


def points(value: float) -> str:
    return f"{value:g} point" + ("" if value == 1 else "s")


def _needed(found: evidence.PairedAccuracy) -> str:
    ways = []
    if found.seeds_needed:
        ways.append(f"{found.seeds_needed} seeds")
    if found.examples_needed:
        ways.append(f"{found.examples_needed:,} examples")
    return f"About {' or '.join(ways)} would tell." if ways else "More of both are needed."


def pair_rows(compared: Sequence[Group]) -> list[PairRow]:
    """Every two backends of one comparison, on every evaluation set and seed that both have and
    whose labels are the same example by example."""
    rows = []
    for i, first in enumerate(compared):
        for second in compared[i + 1 :]:
            for ours, a in accuracies(first.entries):
                for theirs, b in accuracies(second.entries):
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
        ours, theirs = by_seed(first), by_seed(second)
        for name in sorted(
            {n for e in ours.values() for n in e.measurement.require(Accuracy).scores}
        ):
            row = _verdict_row(name, (first.backend, second.backend), ours, theirs, margin)
            rows += [row] if row else []
    return rows


def by_seed(group: Group) -> dict[int, Entry]:
    """The trainings of one participant."""
    return {accuracy.seed: entry for entry, accuracy in accuracies(group.entries)}


def answers(
    ours: Mapping[int, Entry], theirs: Mapping[int, Entry], evaluation_set: str
) -> dict[int, Answers]:
    """By seed that both trained with: what both predict of the same examples. Seeds whose examples
    differ, or whose predictions cannot be read, are absent."""
    seeds = sorted(ours.keys() & theirs.keys())
    found = {seed: _predicted(ours[seed], theirs[seed], evaluation_set) for seed in seeds}
    return {seed: both for seed, both in found.items() if both is not None}


def _verdict_row(
    name: str,
    backends: tuple[str, str],
    ours: Mapping[int, Entry],
    theirs: Mapping[int, Entry],
    margin: float,
) -> VerdictRow | None:
    pairs = answers(ours, theirs, name)
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
        both = _predicted(ours, theirs, name)
        if both is None:
            continue
        first, second, labels = both
        only_first = int(np.sum((first == labels) & (second != labels)))
        only_second = int(np.sum((first != labels) & (second == labels)))
        rows.append(
            PairRow(
                ours.measurement.job.backend,
                theirs.measurement.job.backend,
                name,
                ours.measurement.require(Accuracy).seed,
                paired_difference(only_first, only_second, len(labels)),
                mcnemar(only_first, only_second),
                evidence.agreement(first, second),
            )
        )
    return rows


def _predicted(ours: Entry, theirs: Entry, evaluation_set: str) -> Answers | None:
    """None unless both were evaluated on the same examples and their predictions can be read."""
    first, second = predictions(ours, evaluation_set), predictions(theirs, evaluation_set)
    if first is None or second is None or not np.array_equal(first[1], second[1]):
        return None
    return first[0].argmax(axis=1), second[0].argmax(axis=1), first[1]
