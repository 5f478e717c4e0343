"""What does it cost? The hours of an epoch and of a whole training, and their price."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.cost import Cost, Price, cost, names
from results.report.charts import Bar, bars
from results.report.columns import key_cells, key_columns
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
from results.report.format import count, decimals, gap, listed, number, percent, span
from results.report.sections.overview import accuracy_places
from results.report.view import View


def section(view: View) -> Section | None:
    found = [
        costs
        for rows in view.comparisons
        if (costs := [one for row in rows if (one := cost(row, view.prices))])
    ]
    if not found:
        return None
    blocks: list[Block] = [_sentence(view, costs) for costs in found]
    blocks += [Figures([_figure(view, costs) for costs in found]), _table(view, found)]
    if not all(one.price for costs in found for one in costs):
        blocks.append(Paragraph(_how_to_price(view)))
    blocks.append(
        Paragraph(
            "An epoch is all training examples at the measured training speed, without the first step and "
            "without evaluation. The whole training is the one that reached the accuracy, with its first "
            "step, without evaluation. Only machines on which the speed was measured have a cost: "
            "nothing here is predicted. Energy is not measured.",
            "small",
        )
    )
    return Section("What does it cost?", "cost", blocks)


def _sentence(view: View, costs: Sequence[Cost]) -> Paragraph:
    parts = [
        f"{view.title(one.row.backend)} {number(one.epoch_hours)} hours{_money(one, one.epoch_hours)}"
        for one in costs
    ]
    text = f"an epoch of {count(costs[0].examples)} examples takes {listed(parts)}."
    return Paragraph(text, "lead", view.head(costs[0].row.comparison))


def _money(one: Cost, hours: float) -> str:
    return f" ({_price_text(one.price, hours)})" if one.price else ""


def _price_text(price: Price, hours: float) -> str:
    return f"{number(price.amount * hours)} {price.currency}".strip()


def _figure(view: View, costs: Sequence[Cost]) -> Figure:
    items = [
        Bar(
            view.title(one.row.backend),
            one.epoch_hours,
            f"{number(one.epoch_hours)} h{_money(one, one.epoch_hours)}",
            view.colour(one.row.backend),
            one.interval.low if one.interval else None,
            one.interval.high if one.interval else None,
        )
        for one in costs
    ]
    summary = "; ".join(f"{item.label} {item.text}" for item in items)
    title = f"One epoch: {view.head(costs[0].row.comparison)}"
    return Figure(title, bars(items, "hours per epoch"), summary)


def _table(view: View, found: Sequence[Sequence[Cost]]) -> Table:
    priced = any(one.price for costs in found for one in costs)
    columns = [
        *key_columns(view),
        Column("epoch", "examples"),
        Column("one epoch", "hours"),
        *([Column("one epoch", "price")] if priced else []),
        Column("whole training", "hours"),
        *([Column("whole training", "price")] if priced else []),
        Column("its accuracy", "%"),
    ]
    rows = [[*key_cells(view, one.row), *_cells(one, priced)] for costs in found for one in costs]
    return Table(columns, rows)


def _cells(one: Cost, priced: bool) -> list[Cell]:
    places = decimals(one.epoch_hours)
    scores = one.row.scores
    accuracies = " / ".join(percent(s.accuracy, accuracy_places(s)) for s in scores)
    sets = " / ".join(s.evaluation_set for s in scores)
    hours = one.training_hours
    return [
        Cell(count(one.examples)),
        Cell(number(one.epoch_hours), span(one.interval, places) if one.interval else ""),
        *([_price_cell(one, one.epoch_hours)] if priced else []),
        gap(one.row.status("accuracy")) if hours is None else Cell(number(hours)),
        *([_price_cell(one, hours)] if priced else []),
        Cell(accuracies, sets) if scores else gap(one.row.status("accuracy")),
    ]


def _price_cell(one: Cost, hours: float | None) -> Cell:
    if one.price is None:
        return gap("no price given")
    return gap(one.row.status("accuracy")) if hours is None else Cell(_price_text(one.price, hours))


def _how_to_price(view: View) -> str:
    devices = [m.device for run in view.runs for m in run.measurements]
    known = dict.fromkeys(name for device in devices for name in names(device)[:1])
    return (
        f"Money needs a price per hour: ftbench report --price '{next(iter(known))}=0.35 EUR', for "
        f"{listed(list(known))}."
    )
