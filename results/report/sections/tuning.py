"""How fast can it be made? What each lever gained over the plain recipe, and the accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.report.charts import Bar, bars
from results.report.columns import backend_cell
from results.report.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Paragraph,
    Section,
    Table,
)
from results.report.format import listed
from results.report.provenance import unique
from results.report.view import Run, View
from results.schema import Tuning

VERDICTS = {"holds": "holds", "does_not_hold": "does not hold", "cannot_tell": "cannot be told"}


def section(view: View) -> Section | None:
    tuned = _tuned(view)
    if not tuned:
        return None
    blocks: list[Block] = [
        Paragraph(sentence(tuning), "lead", _head(view, run, tuning)) for run, tuning in tuned
    ]
    blocks.append(Figures([f for run, tuning in tuned if (f := _figure(view, run, tuning))]))
    blocks += [_levers(tuning, _head(view, run, tuning)) for run, tuning in tuned]
    blocks.append(
        Paragraph(
            "A gain is how many times as many examples per second a recipe trains as the one that it is "
            "raced against, with an interval over launches. It counts if the whole interval lies "
            "above 1, at a confidence that is corrected for the number of levers tried. 'Again' is "
            "the plain recipe raced against itself, as a check. A lever that was slower in every "
            "round of a launch is dropped early. The accuracy holds if the 95 % interval of the "
            "difference, over seeds and examples, ends at most the margin below 0; a recipe for "
            "which this cannot be told is not kept. "
            "The share of the matrix multiplication rate is the model's FLOP/s on tokens, "
            "divided by the rate that the same run measured in the same precision.",
            "small",
        )
    )
    return Section("How fast can it be made?", "tuned", blocks)


def _tuned(view: View) -> list[tuple[Run, Tuning]]:
    return [(run, run.tuning) for run in view.runs if run.tuning]


def first_lines(view: View) -> list[Block]:
    return [
        Paragraph(gained(tuning), "lead", f"{_head(view, run, tuning)}, tuned")
        for run, tuning in _tuned(view)
    ]


def summary(view: View) -> list[Block]:
    """One row per tuned recipe."""
    tuned = _tuned(view)
    margins = listed(unique(f"{100 * t.accuracy.margin:g}" for _, t in tuned if t.accuracy))
    columns = [
        Column("task", numeric=False, group=True),
        *([Column(view.origin_word, numeric=False, group=True)] if view.several_runs else []),
        Column("backend", numeric=False),
        Column("tuned with", numeric=False),
        Column("training", "times as fast as plain"),
        Column(
            "the accuracy",
            f"to within {margins} {'point' if margins == '1' else 'points'}" if margins else "",
            numeric=False,
        ),
    ]
    rows = [
        [
            Cell(tuning.task),
            *([Cell(view.origin_name(run.name))] if view.several_runs else []),
            backend_cell(view, tuning.backend),
            Cell(listed(tuning.levers) or "no lever was faster"),
            _gain_cell(tuning),
            _accuracy_cell(tuning),
        ]
        for run, tuning in sorted(tuned, key=lambda one: (one[1].task, one[0].origin.machine))
    ]
    return [Table(columns, rows)] if rows else []


def _gain_cell(tuning: Tuning) -> Cell:
    if tuning.gain is None:
        return Cell("not raced" if tuning.levers else "no gain", tone="gap")
    if tuning.gain_low is None:
        return Cell(f"{tuning.gain:.2f}")
    return Cell(f"{tuning.gain:.2f} ({tuning.gain_low:.2f} to {tuning.gain_high:.2f})")


def _accuracy_cell(tuning: Tuning) -> Cell:
    found = tuning.accuracy
    if found is None:
        return Cell("not measured", tone="gap")
    ends = ""
    if found.difference_low is not None and found.difference_high is not None:
        ends = f" ({100 * found.difference_low:+.1f} to {100 * found.difference_high:+.1f})"
    return Cell(VERDICTS[found.verdict], f"{100 * found.difference:+.1f} points{ends}")


def _head(view: View, run: Run, tuning: Tuning) -> str:
    machine = f" ({view.origin_name(run.name)})" if view.several_runs else ""
    return f"{tuning.task}{machine}, {view.title(tuning.backend)}"


def sentence(tuning: Tuning) -> str:
    """What tuning gained, what share of the matmul rate that is, and what it dropped."""
    shares = [
        f"{share:.0%}"
        for share in (tuning.tuned_matmul_share, tuning.plain_matmul_share)
        if share is not None
    ]
    of_rate = ""
    if not tuning.levers and shares:
        of_rate = f" It reaches {shares[0]} of the matrix multiplication rate."
    elif len(shares) == 2:
        of_rate = f" It reaches {shares[0]} of the matrix multiplication rate, the plain recipe {shares[1]}."
    dropped = "".join(f" Dropped {one.levers}: {one.reason}." for one in tuning.dropped)
    return gained(tuning) + of_rate + dropped


def gained(tuning: Tuning) -> str:
    """'With bf16, training is 2.41 (2.30 to 2.52) times as fast as with the plain recipe ...'"""
    plain = f"the plain recipe ({plain_words(tuning.plain_recipe)})"
    if not tuning.levers:
        return (
            f"No gain was confirmed: {plain} stays."
            if tuning.dropped
            else f"No lever made {plain} faster."
        )
    gain = "" if tuning.gain is None else f"{tuning.gain:.2f} "
    if tuning.gain_low is not None:
        gain += f"({tuning.gain_low:.2f} to {tuning.gain_high:.2f}) "
    return (
        f"With {listed(tuning.levers)}, training is {gain}times as fast as with {plain}; "
        f"{_accuracy(tuning)}."
    )


def plain_words(recipe: Mapping[str, Any]) -> str:
    """'fp32, padded to 256, batch 16': the recipe that a gain is relative to."""
    length = recipe["length"]
    words = [
        recipe["precision"],
        {
            "max": f"padded to {length}",
            "longest": f"padded to the longest of a batch, at most {length}",
            "buckets": f"length buckets, at most {length}",
        }[recipe["padding"]],
    ]
    parts = recipe["accumulation"]
    accumulated = f" accumulated {parts} times" if parts > 1 else ""
    words.append(f"batch {recipe['batch_size']}{accumulated}")
    words += ["compiled"] if recipe["compile"] else []
    words += [f"attention {recipe['attention']}"] if recipe["attention"] else []
    return ", ".join(words)


def _accuracy(tuning: Tuning) -> str:
    found = tuning.accuracy
    if found is None:
        return f"its accuracy was not measured: {tuning.no_accuracy}"
    points = f"{100 * found.margin:g} {'point' if found.margin == 0.01 else 'points'}"
    verdict = {
        "holds": f"the accuracy holds to within {points}",
        "does_not_hold": "the accuracy does not hold",
        "cannot_tell": f"too few seeds or examples to show whether the accuracy holds to within {points}",
    }[found.verdict]
    seeds = f"{'seed' if len(found.seeds) == 1 else 'seeds'} {listed(list(map(str, found.seeds)))}"
    ends = ""
    if found.difference_low is not None:
        ends = f" ({found.difference_low:+.1%} to {found.difference_high:+.1%})"
    return (
        f"{verdict}: {found.tuned:.1%} against {found.plain:.1%} on {found.examples:,} "
        f"examples, difference {found.difference:+.1%}{ends}, {seeds}"
    )


def _figure(view: View, run: Run, tuning: Tuning) -> Figure | None:
    """Every lever's gain, with its interval."""
    items = [
        Bar(
            step.lever if step.against == "plain" else f"{step.lever}, with {step.against}",
            step.gain,
            f"{step.gain:.2f}{', kept' if step.kept else ''}",
            view.colour(tuning.backend),
            step.gain_low,
            step.gain_high,
        )
        for step in tuning.steps
        if step.gain is not None
    ]
    if not items:
        return None
    summary = "; ".join(f"{item.label} {item.text}" for item in items)
    axis = "times as fast; the axis does not begin at 0"
    return Figure(
        f"Gain of each lever: {_head(view, run, tuning)}",
        bars(items, axis, from_zero=False),
        summary,
    )


def _levers(tuning: Tuning, title: str) -> Table:
    columns = [
        Column("lever", numeric=False),
        Column("against", numeric=False),
        Column("speed", "times"),
        Column("kept", numeric=False),
    ]
    rows = []
    for step in tuning.steps:
        if step.gain is None:
            gain = Cell("none", step.reason or "")
        else:
            note = (
                step.reason or ""
                if step.gain_low is None
                else f"{step.gain_low:.2f} to {step.gain_high:.2f}"
            )
            gain = Cell(f"{step.gain:.2f}", note)
        rows.append([Cell(step.lever), Cell(step.against), gain, Cell("yes" if step.kept else "")])
    return Table(columns, rows, title)
