"""Bars with intervals, or dots where the axis does not begin at zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.report.charts.chart import (
    INK,
    PAGE,
    Chart,
    Spec,
    chart_spec,
    colour,
    finite,
    label,
    unscaled,
)

ROW = 46  # pixels per bar, its label above it
BAR = 14
DOWN = 9  # from the middle of a row to the middle of its bar
BELOW = DOWN + 11  # the raw values, below their bar


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    text: str  # the value as it is written next to the bar
    colour: int
    low: float | None = None
    high: float | None = None
    marks: Sequence[float] = ()  # raw values


def bars(items: Sequence[Bar], axis: str, *, from_zero: bool = True) -> Chart:
    """Horizontal bars, or dots where the axis does not begin at zero, each with its interval and raw
    values."""
    rows = [
        {
            "row": i,
            "label": label(item.label),
            "value": finite(item.value),
            "text": label(item.text),
            "colour": colour(item.colour),
            "low": finite(item.low),
            "high": finite(item.high),
        }
        for i, item in enumerate(items)
    ]
    raw = [{"row": i, "raw": finite(mark)} for i, item in enumerate(items) for mark in item.marks]
    x = {
        "type": "quantitative",
        "title": axis,
        "scale": {"zero": from_zero, "nice": True},
        "axis": {"grid": False, "tickCount": 5},
    }
    intervals = [_interval_layer(x)] if any(row["low"] is not None for row in rows) else []
    layers = [
        *([_bar_layer(x), *intervals] if from_zero else [*intervals, _dot_layer(x)]),
        *([_raw_layer(raw, x)] if raw else []),
        _text_layer("label", {"value": 0}, "left"),
        _text_layer("text", {"value": "width"}, "right"),
    ]
    height = {"step": ROW}
    y = {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    return Chart(chart_spec(layers, height, data={"values": rows}, encoding={"y": y}))


def _bar_layer(x: Spec) -> Spec:
    mark = {"type": "bar", "size": BAR, "yOffset": DOWN}
    return {"mark": mark, "encoding": _value_encoding(x)}


def _dot_layer(x: Spec) -> Spec:
    mark = {"type": "point", "size": 110, "yOffset": DOWN, "filled": True, "opacity": 1}
    return {"mark": mark, "encoding": _value_encoding(x)}


def _value_encoding(x: Spec) -> Spec:
    return {
        "x": {"field": "value", **x},
        "color": unscaled("colour"),
        "tooltip": [{"field": "label", "title": "what"}, {"field": "text", "title": x["title"]}],
    }


def _raw_layer(raw: Sequence[Spec], x: Spec) -> Spec:
    """One small circle per raw value, below the bar that would hide it."""
    mark = {"type": "point", "size": 14, "yOffset": BELOW, "filled": True, "opacity": 0.5}
    tooltip = [{"field": "raw", "title": "one window", "type": "quantitative", "format": ".4~g"}]
    return {
        "data": {"values": list(raw)},
        "mark": {**mark, "color": INK},
        "encoding": {"x": {"field": "raw", **x}, "tooltip": tooltip},
    }


def _interval_layer(x: Spec) -> Spec:
    """A line from low to high with a halo, so that it is seen on every bar."""
    ends = {"x": {"field": "low", **x}, "x2": {"field": "high"}}
    halo = {"type": "rule", "yOffset": DOWN, "strokeWidth": 5, "color": PAGE}
    line = {"type": "rule", "yOffset": DOWN, "strokeWidth": 2}
    tick = {"type": "tick", "yOffset": DOWN, "size": 11, "thickness": 2, "color": INK}
    return {
        "transform": [{"filter": "isValid(datum.low)"}],
        "layer": [
            {"mark": halo, "encoding": ends},
            {"mark": line, "encoding": ends},
            *[
                {"mark": {**tick, "opacity": 1}, "encoding": {"x": {"field": end, **x}}}
                for end in ("low", "high")
            ],
        ],
    }


def _text_layer(field: str, x: Spec, align: str) -> Spec:
    return {
        "mark": {"type": "text", "align": align, "baseline": "middle", "dy": -10},
        "encoding": {"x": x, "text": {"field": field}},
    }
