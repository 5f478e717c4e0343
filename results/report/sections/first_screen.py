"""The first screen: which backend is fastest, its memory and accuracy, on which data and device."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import Row, races
from results.analysis.verdict import judge
from results.report.document import Block, Facts, Paragraph
from results.report.format import count, gibibytes, listed, millions, number, percent
from results.report.proofs import proof_of_all
from results.report.provenance import described, device_text, precision_words, seed_words, unique
from results.report.sections import equivalence, limits, tuning
from results.report.sections.controls import noise_text
from results.report.sections.overview import (
    a_measurement,
    accuracy_places,
    memory_figure,
    overview,
    rate_doubts,
)
from results.report.view import View

KINDS = ("device", "data", "precision")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")


def first_screen(view: View) -> list[Block]:
    blocks: list[Block] = [*equivalence.first_lines(view), Facts(_where(view))]
    blocks += [_sentence(view, rows) for rows in view.comparisons]
    blocks += tuning.first_lines(view)
    blocks += limits.first_lines(view)
    blocks += [overview(view)] if view.comparisons else []
    every = [m for run in view.runs for m in run.measurements]
    used = [m for m in every if m.status == "ok"]
    if view.comparisons or not (view.grids or view.tunings):
        blocks.append(
            Paragraph(
                "Speeds have Student's 95 % interval over launches, or of one launch the interval of its rounds; "
                "accuracies have Wilson's. Bold is the best among models of the same size. "
                f"{seed_words(used).capitalize()}; {proof_of_all(view)}.",
                "small",
            )
        )
    if len(used) < len(every):
        blocks.append(
            Paragraph(
                f"{count(len(every) - len(used))} of {count(len(every))} jobs have no figures; "
                "'What was not measured' gives the reasons.",
                "warning",
            )
        )
    return blocks


def _where(view: View) -> list[tuple[str, str]]:
    """Devices, data and precisions, each once, with the runs that they apply to; the A/A pairs."""
    named: dict[tuple[str, str], list[str]] = {}
    for run in view.runs:
        ok = [m for m in run.measurements if m.status == "ok"]
        devices = [run.info.device] if run.info else [m.device for m in run.measurements[:1]]
        precision = ", ".join(sorted({precision_words(m) for m in ok}, key=_most_exact_first))
        for fact in [
            *[("device", device_text(device)) for device in devices],
            *[("data", text) for text in unique(described(m.data) for m in ok if m.data)],
            *([("precision", precision)] if precision else []),
        ]:
            named.setdefault(fact, []).append(run.name)
    facts = [
        (kind, text if len(runs) == len(view.runs) else f"{text} ({', '.join(runs)})")
        for kind in KINDS
        for (about, text), runs in named.items()
        if about == kind
    ]
    return facts + [("A/A pair", noise_text(view, pair)) for pair in view.noise_pairs]


def _most_exact_first(precision: str) -> tuple[int, str]:
    word = precision.split()[0]
    return (PRECISIONS.index(word) if word in PRECISIONS else len(PRECISIONS)), precision


def _sentence(view: View, rows: Sequence[Row]) -> Paragraph:
    """One comparison in plain words. Only models of the same size are compared, the largest
    first: the speed of a smaller model does not show which framework is faster."""
    found = races([r for r in rows if r.speed or r.memory or r.scores])
    head = view.head(rows[0].comparison)
    if not found:
        return Paragraph("no job gave figures.", "lead", head)
    first, *others = found
    words = [_race(view, first)] + [
        f"With another model ({millions(race[0].model_size)} parameters against "
        f"{millions(first[0].model_size)}), {_race(view, race)}"
        for race in others
    ]
    data = a_measurement(rows).data
    if data and data.generated and any(r.scores for r in rows):
        words.append("Generated data: these accuracies say nothing about real text.")
    return Paragraph(" ".join(words), "lead", head)


def _race(view: View, rows: Sequence[Row]) -> str:
    """What the race says, with the figures of its winner, or of all where there is none."""
    timed = {r.backend: r for r in rows if r.speed}
    if not timed:
        return " ".join(f"{view.title(r.backend)} {_achieved(view, [r])}" for r in rows)
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
    return f"{verdict.sentence(view.titles)}; {speeds}{_also(view, ranked)}"


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
