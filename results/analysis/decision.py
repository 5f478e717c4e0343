"""Whether a race that adds launches until it can be decided may end. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import compare, races
from results.analysis.controls import noise_pairs, overheads
from results.analysis.groups import Entry
from results.analysis.levers import studies
from results.analysis.speed import Ratio
from results.analysis.verdict import judge, rival
from results.schema import LOOKS, Measurement


def race_is_decided(measurements: Sequence[Measurement]) -> bool:
    """Whether every comparison that the race is for has an answer: backends of one size against
    each other; in a study of changes, each against the plain recipe; and of a single backend, its
    control and its repeat against itself. Only asked after certain numbers of launches, which the
    confidence of a sequential race allows for."""
    timed = [m.throughput for m in measurements if m.throughput]
    if not timed or min(len(one.launches) for one in timed) not in LOOKS:
        return False
    entries = [Entry("", m) for m in measurements]
    if any(m.job.change for m in measurements):
        levers = [
            (study.speed(lever), len(study.levers) - 1)
            for study in studies(entries)
            for lever in study.levers[1:]
        ]
        return all(_has_answer(ratio, tried) for ratio, tried in levers if ratio)
    rivals = [
        [row.speed for row in race if row.speed]
        for rows in compare(entries)
        for race in races(rows)
    ]
    verdicts = [judge(speeds) for speeds in rivals if len(speeds) > 1]
    if verdicts:
        return all(verdict.decided or verdict.kind == "not_compared" for verdict in verdicts)
    alone = [one.ratio for one in overheads(entries)] + [
        pair.ratio for pair in noise_pairs(entries)
    ]
    return all(_has_answer(ratio) for ratio in alone if ratio)


def _has_answer(ratio: Ratio, tried: int = 1) -> bool:
    """Whether one of the two is shown to be faster, or both to be equal."""
    first, second = rival("", ratio, tried), rival("", ratio.inverse, tried)
    return first.slower or first.equal or second.slower
