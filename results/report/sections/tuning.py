"""Tuned against plain: what each lever of a framework gained, and whether the accuracy held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.report.document import Block, Cell, Column, Paragraph, Section, Table
from results.report.format import listed
from results.report.view import View
from results.schema import Tuning


def section(view: View) -> Section | None:
    if not view.tunings:
        return None
    blocks: list[Block] = []
    for tuning in view.tunings:
        blocks += [Paragraph(sentence(tuning), head=_head(view, tuning)), _levers(tuning)]
    blocks.append(
        Paragraph(
            "A gain is all examples over all seconds of a recipe, over the other one's, the two taking "
            "turns round by round, with a 95 % interval from resampled rounds. It counts when the "
            "interval lies above 1 and the gain above what the plain recipe showed against itself "
            "('plain, again'). A lever that was slower in every round of at least three is left there. "
            "The accuracy holds when the 95 % interval of the difference ends no lower than the margin "
            "below 0. The share of the matmul rate counts the model's arithmetic on real tokens, over "
            "the rate that the same run measured in the same precision.",
            "small",
        )
    )
    return Section("How fast can it be made?", "tuned", blocks)


def first_lines(view: View) -> list[Block]:
    return [
        Paragraph(gained(tuning), "lead", f"{_head(view, tuning)}, tuned")
        for tuning in view.tunings
    ]


def _head(view: View, tuning: Tuning) -> str:
    return f"{tuning.task}, {view.title(tuning.backend)}"


def sentence(tuning: Tuning) -> str:
    """What tuning gained, what share of the matmul rate that is, and what it dropped."""
    shares = [
        f"{share:.0%}"
        for share in (tuning.tuned_matmul_share, tuning.plain_matmul_share)
        if share is not None
    ]
    of_rate = ""
    if not tuning.levers and shares:
        of_rate = f" It runs at {shares[0]} of the matmul rate."
    elif len(shares) == 2:
        of_rate = f" It runs at {shares[0]} of the matmul rate, the plain one at {shares[1]}."
    dropped = "".join(f" Dropped {one.levers}: {one.reason}." for one in tuning.dropped)
    return gained(tuning) + of_rate + dropped


def gained(tuning: Tuning) -> str:
    """'With bf16 it trains 2.41 (2.30 to 2.52) times as fast as the plain recipe ...'"""
    plain = f"the plain recipe ({plain_words(tuning.plain_recipe)})"
    if not tuning.levers:
        return (
            f"What gained did not hold: {plain} stays."
            if tuning.dropped
            else f"No lever made {plain} faster."
        )
    assert tuning.gain is not None
    interval = (
        "" if tuning.gain_low is None else f" ({tuning.gain_low:.2f} to {tuning.gain_high:.2f})"
    )
    return (
        f"With {listed(tuning.levers)} it trains {tuning.gain:.2f}{interval} times as fast as "
        f"{plain}; {_accuracy(tuning)}."
    )


def plain_words(recipe: Mapping[str, Any]) -> str:
    """'fp32, padded to 256, batch 16': what a gain is over."""
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
    words.append(f"batch {recipe['batch_size']}" + (f" accumulated {parts} times" * (parts > 1)))
    words += ["compiled"] * recipe["compile"]
    words += [f"attention {recipe['attention']}"] * bool(recipe["attention"])
    return ", ".join(words)


def _accuracy(tuning: Tuning) -> str:
    found = tuning.accuracy
    if found is None:
        return f"its accuracy was not taken: {tuning.no_accuracy}"
    points = f"{100 * found.margin:g} {'point' if found.margin == 0.01 else 'points'}"
    verdict = {
        "holds": f"the accuracy holds to within {points}",
        "does_not_hold": "the accuracy does not hold",
        "cannot_tell": f"whether the accuracy holds to within {points} could not be told on "
        f"{found.examples:,} examples",
    }[found.verdict]
    seeds = f"{'seed' if len(found.seeds) == 1 else 'seeds'} {listed(list(map(str, found.seeds)))}"
    return (
        f"{verdict}: {found.tuned:.1%} against {found.plain:.1%} on {found.examples:,} "
        f"examples, difference {found.difference:+.1%} ({found.difference_low:+.1%} to "
        f"{found.difference_high:+.1%}), {seeds}"
    )


def _levers(tuning: Tuning) -> Table:
    columns = [
        Column("lever", numeric=False),
        Column("against", numeric=False),
        Column("examples/s", "times"),
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
    return Table(columns, rows)
