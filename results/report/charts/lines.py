"""Lines, points and levels on two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from results.report.charts.chart import (
    FAILED,
    PAGE,
    QUIET,
    Chart,
    Spec,
    chart_spec,
    colour,
    dash,
    finite,
    hover_layer,
    label,
    quantitative,
    unscaled,
)

HEIGHT = 220
SMALL_HEIGHT = 170  # of one of many charts
Shape = Literal["dot", "ring", "square", "cross"]
CROSS = "M-0.7,-0.7L0.7,0.7M-0.7,0.7L0.7,-0.7"
# Vega's shapes; a ring is a circle that is not filled.
SHAPES: dict[Shape, str] = {"dot": "circle", "ring": "circle", "square": "square", "cross": CROSS}


@dataclass(frozen=True)
class Line:
    label: str
    xs: Sequence[float]
    ys: Sequence[float]  # values that are not finite leave a hole
    colour: int  # of the backend; its dash follows from it


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    colour: int
    shape: Shape = "dot"
    label: str = ""


@dataclass(frozen=True)
class Level:
    """A line right across, such as a budget."""

    y: float
    label: str


def lines(
    series: Sequence[Line],
    x_axis: str,
    y_axis: str,
    *,
    points: Sequence[Point] = (),
    levels: Sequence[Level] = (),
    height: int = HEIGHT,
    from_zero: bool = False,
) -> Chart:
    """Several lines, with points and levels where there are any, and both axes with their units. The
    legend is the page's. The horizontal axis begins at zero, the vertical one only if asked to."""
    grid: Spec = {"grid": True, "domain": False, "tickCount": 5}
    axes = {
        "x": quantitative("x", x_axis, scale={"zero": True, "nice": False}, axis=grid),
        "y": quantitative("y", y_axis, scale={"zero": from_zero, "nice": True}, axis=grid),
    }
    layers = [
        *([_levels(levels, axes["y"])] if levels else []),
        *([_line_layer(series, axes)] if any(s.xs for s in series) else []),
        *_point_layers(points, axes),
    ]
    return Chart(chart_spec(layers or [{"mark": "point", "data": {"values": []}}], height))


def _line_layer(series: Sequence[Line], axes: Spec) -> Spec:
    rows = [
        {
            "series": label(s.label),
            "line": i,
            "colour": colour(s.colour),
            "dash": dash(s.colour),
            "x": finite(x),
            "y": finite(y),
        }
        for i, s in enumerate(series)
        for x, y in zip(s.xs, s.ys, strict=True)
    ]
    tooltip = [
        {"field": "series"},
        _shown("x", axes["x"]["title"]),
        _shown("y", axes["y"]["title"]),
    ]
    common: Spec = {
        **axes,
        "color": unscaled("colour"),
        "detail": {"field": "line"},
    }
    return {
        "data": {"values": rows},
        "transform": [{"filter": "indexof(off, datum.series) < 0"}],
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {**common, "strokeDash": unscaled("dash")},
            },
            hover_layer({**common, "tooltip": tooltip}),
        ],
    }


def _point_layers(points: Sequence[Point], axes: Spec) -> list[Spec]:
    """One layer per shape; a cross is a failure and has its colour."""
    layers = []
    for shape in dict.fromkeys(point.shape for point in points):
        rows = [
            {
                "x": finite(p.x),
                "y": finite(p.y),
                "colour": FAILED if shape == "cross" else colour(p.colour),
                "label": label(p.label),
            }
            for p in points
            if p.shape == shape and finite(p.x) is not None and finite(p.y) is not None
        ]
        mark: Spec = {"type": "point", "shape": SHAPES[shape], "size": 70, "opacity": 1}
        if shape in ("dot", "square"):
            mark["filled"] = True
        elif shape == "ring":
            mark |= {"fill": PAGE, "strokeWidth": 2}
        else:
            mark["strokeWidth"] = 2.5
        named = [{"field": "label", "title": "what"}] if any(row["label"] for row in rows) else []
        tooltip = [*named, _shown("x", axes["x"]["title"]), _shown("y", axes["y"]["title"])]
        layers.append(
            {
                "data": {"values": rows},
                "mark": mark,
                "encoding": {**axes, "color": unscaled("colour"), "tooltip": tooltip},
            }
        )
    return layers


def _levels(levels: Sequence[Level], y: Spec) -> Spec:
    rows = [{"y": finite(level.y), "label": label(level.label)} for level in levels]
    return {
        "data": {"values": rows},
        "encoding": {"y": y},
        "layer": [
            {"mark": {"type": "rule", "color": QUIET, "strokeDash": [5, 4]}},
            {
                "mark": {"type": "text", "align": "left", "dy": -7, "dx": 3, "color": QUIET},
                "encoding": {"x": {"value": 0}, "text": {"field": "label"}},
            },
        ],
    }


def _shown(field: str, title: Any) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "format": ".4~g"}
