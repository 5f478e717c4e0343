"""A comparison in one or two sentences: who is faster, what it used and what it reached."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import Row, races
from results.analysis.verdict import Verdict, judge
from results.report.format import gibibytes, listed, millions, number, percent
from results.report.sections.accuracy.pairs import sentences
from results.report.sections.overview import (
    a_measurement,
    accuracy_places,
    memory_figure,
    rate_doubts,
)
from results.report.view import View


def sentence(view: View, rows: Sequence[Row]) -> str:
    """One comparison in plain words. Only models of the same size are compared, the largest
    first: the speed of a smaller model does not show which framework is faster."""
    found = races([r for r in rows if r.speed or r.memory or r.scores])
    if not found:
        return "no job gave figures."
    first, *others = found
    words = [*_accuracies(view, first), _race(view, first)]
    for race in others:
        words += [
            f"With another model ({millions(race[0].model_size)} parameters against "
            f"{millions(first[0].model_size)}), {_race(view, race)}",
            *_accuracies(view, race),
        ]
    data = a_measurement(rows).data
    if data and data.generated and any(r.scores for r in rows):
        words.append("Generated data: these accuracies say nothing about real text.")
    return " ".join(words)


def _accuracies(view: View, rows: Sequence[Row]) -> list[str]:
    """Whether these backends are equally accurate, where there is no speed to begin with."""
    return [] if any(r.speed for r in rows) else list(dict.fromkeys(sentences(view, rows)))


def race_verdicts(view: View) -> list[tuple[str, Verdict]]:
    """What every race among models of the same size says, with the subject of its sentence."""
    raced = [
        (view.head(rows[0].comparison), [r.speed for r in race if r.speed])
        for rows in view.comparisons
        for race in races(rows)
    ]
    return [(head, judge(speeds)) for head, speeds in raced if len(speeds) > 1]


def _race(view: View, rows: Sequence[Row]) -> str:
    """What the race says, with the figures of its winner, or of all where there is none."""
    timed = {r.backend: r for r in rows if r.speed}
    if not timed:
        return " ".join(
            f"{listed([view.title(r.backend) for r in same])} {_achieved(view, same)}"
            for same in _with_the_same_figures(rows)
        )
    verdict = judge([r.speed for r in timed.values() if r.speed])
    ranked = [timed[name] for name in verdict.order]
    if len(ranked) == 1:
        return (
            f"{view.title(ranked[0].backend)} trained at {_speed(ranked[0])}{_also(view, ranked)}"
        )
    if verdict.winner:
        ranked = ranked[:1]
        return f"{verdict.sentence(view.titles)}; it trained at {_speed(ranked[0])}{_also(view, ranked)}"
    speeds = listed([f"{view.title(r.backend)} trained at {_speed(r)}" for r in ranked])
    return f"{verdict.sentence(view.titles)}. {speeds}{_also(view, ranked)}"


def _with_the_same_figures(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that one sentence can hold."""
    found: dict[tuple[bool, tuple[str, ...]], list[Row]] = {}
    for row in rows:
        figures = (row.memory is not None, tuple(sorted(s.evaluation_set for s in row.scores)))
        found.setdefault(figures, []).append(row)
    return list(found.values())


def _also(view: View, winners: Sequence[Row]) -> str:
    """A second sentence, where there is more than speed."""
    achieved = _achieved(view, winners)
    return f". {'They' if len(winners) > 1 else 'It'} {achieved}" if achieved else "."


def _achieved(view: View, rows: Sequence[Row]) -> str:
    """'used 1.07 GiB and reached 91.2 % on test.', or empty."""
    parts = []
    figure = memory_figure(rows)
    peaks = [gibibytes(v) for r in rows if r.memory and (v := r.memory.figures[figure])]
    if len(peaks) == len(rows):
        parts.append(f"used {listed(peaks)} GiB")
    reached = []
    for name in sorted({s.evaluation_set for r in rows for s in r.scores}):
        scores = [
            percent(s.accuracy, accuracy_places(s) - 1)
            for r in rows
            for s in r.scores
            if s.evaluation_set == name
        ]
        reached.append(f"{listed(scores)} % on {name}")
    parts += [f"reached {listed(reached)}"] if reached else []
    return f"{listed(parts)}." if parts else ""


def _speed(row: Row) -> str:
    if row.speed is None:
        raise ValueError(f"{row.backend} has no speed")
    rate = row.speed.training
    notes = [f"{number(rate.samples_per_second)} samples/s", *rate_doubts(rate)]
    return f"{number(rate.steps_per_second)} steps/s ({', '.join(notes)})"
