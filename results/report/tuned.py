"""Tuned against plain: what each lever of a framework gained, and whether the accuracy held."""

from __future__ import annotations

from results.report.document import Block, Cell, Column, Paragraph, Section, Table
from results.report.view import View
from results.schema import Tuning, TuningAccuracy
from results.store import read_tuning


def section(view: View) -> Section | None:
    tunings = [tuning for run in view.runs if run.folder and (tuning := read_tuning(run.folder))]
    if not tunings:
        return None
    blocks: list[Block] = []
    for tuning in tunings:
        head = f"{tuning.task}, {view.title(tuning.backend)}"
        blocks += [Paragraph(sentence(tuning), head=head), _levers(tuning)]
    blocks.append(Paragraph(
        "A gain is examples per second over the other recipe's, the two taking turns window by "
        "window, with a bootstrap 95 % interval. A lever is kept when its interval lies above 1 "
        "and, where the plain recipe raced itself first ('plain, again'), its gain above what that "
        "showed. The share of the matmul rate counts the model's arithmetic on real tokens, over "
        "the rate that the same run measured in the same precision.", "small"))
    return Section("How fast can it be made?", "tuned", blocks)


def sentence(tuning: Tuning) -> str:
    if tuning.gain is None:
        share = ("" if tuning.plain_matmul_share is None else
                 f" It runs at {tuning.plain_matmul_share:.0%} of the matmul rate.")
        return f"No lever made the plain recipe faster{_accuracy(tuning.accuracy)}.{share}"
    changed = ", ".join([f"{name} = {value}" for name, value in tuning.tuned_fields.items()]
                        + [f"{name}={value}" for name, value in tuning.tuned_environment.items()])
    interval = ("" if tuning.gain_low is None
                else f" ({tuning.gain_low:.2f} to {tuning.gain_high:.2f})")
    shares = [f"{share:.0%}" for share in (tuning.plain_matmul_share, tuning.tuned_matmul_share)
              if share is not None]
    of_rate = f" It runs at {shares[1]} of the matmul rate, the plain one at {shares[0]}." if len(
        shares) == 2 else ""
    return (f"With {changed} it trains {tuning.gain:.2f}{interval} times as fast as the plain "
            f"recipe{_accuracy(tuning.accuracy)}.{of_rate}")


def _accuracy(accuracy: TuningAccuracy | None) -> str:
    if accuracy is None:
        return "; its accuracy was not taken"
    verdict = "the accuracy holds" if accuracy.holds else "the accuracy does not hold"
    return (f"; {verdict}: {accuracy.tuned:.1%} against {accuracy.plain:.1%} on "
            f"{accuracy.examples:,} examples, difference {accuracy.difference:+.1%} "
            f"({accuracy.difference_low:+.1%} to {accuracy.difference_high:+.1%}), "
            f"seed {accuracy.seed}")


def _levers(tuning: Tuning) -> Table:
    columns = [Column("lever", numeric=False), Column("against", numeric=False),
               Column("examples/s", "times"), Column("kept", numeric=False)]
    rows = []
    for step in tuning.steps:
        if step.gain is None:
            gain = Cell("none", step.reason or "")
        else:
            note = "" if step.gain_low is None else f"{step.gain_low:.2f} to {step.gain_high:.2f}"
            gain = Cell(f"{step.gain:.2f}", note)
        rows.append([Cell(step.lever), Cell(step.against), gain, Cell("yes" if step.kept else "")])
    return Table(columns, rows)
