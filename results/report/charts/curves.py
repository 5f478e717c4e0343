"""Learning curves: all backends and seeds on one axis, by step, epoch or seconds, smoothed on demand."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy.curves import Curve
from results.report.charts.chart import (
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

AXES = {
    "step": "optimizer steps",
    "epoch": "epochs",
    "seconds": "training seconds, without evaluation",
}
HEIGHT = 260
DIGITS = 5  # of a value, one more than the chart can show


def curves(
    found: Sequence[Curve], titles: Sequence[str], colours: Sequence[int], y_axis: str, smooth: int
) -> Chart:
    """Seeds as thin lines, their mean as a thick one; `titles` and `colours` are those of each curve's
    backend. `smooth` is how many points on either side the picture averages."""
    points = [point for curve in found for point in curve.points]
    known = {
        "step": True,
        "epoch": any(curve.epochs_per_step is not None for curve in found),
        "seconds": any(point.seconds is not None for point in points),
    }
    axes = [(name, title) for name, title in AXES.items() if known[name]]
    rows = []
    for i, curve in enumerate(found):
        for point in curve.points:
            row = {"line": i, "value": finite(point.value, DIGITS), "step": point.step}
            if known["seconds"]:
                row["seconds"] = finite(point.seconds, DIGITS)
            rows.append(row)
    kinds = [
        {
            "line": i,
            "series": label(title),
            "colour": colour(number),
            "dash": dash(number),
            "seed": "mean" if curve.seed is None else f"seed {curve.seed}",
            "thin": curve.thin,
            "epochs_per_step": curve.epochs_per_step,
        }
        for i, (curve, title, number) in enumerate(zip(found, titles, colours, strict=True))
    ]
    return Chart(_spec(rows, kinds, y_axis, smooth), axes, smooth)


def _spec(rows: Sequence[Spec], kinds: Sequence[Spec], y_axis: str, smooth: int) -> Spec:
    grid: Spec = {"grid": True, "domain": False, "tickCount": 5}
    encoding: Spec = {
        "x": quantitative("x", "@axis", scale={"zero": True, "nice": False}, axis=grid),
        "y": quantitative("y", y_axis, scale={"zero": False, "nice": True}, axis=grid),
        "color": unscaled("colour"),
        "detail": {"field": "line"},
    }
    tooltip = [
        {"field": "series"},
        {"field": "seed"},
        quantitative("x", "at", format=".4~g"),
        quantitative("y", y_axis, format=".4~g"),
    ]
    of_a_line = ["series", "colour", "dash", "seed", "thin", "epochs_per_step"]
    epoch = "isValid(datum.epochs_per_step) ? datum.step * datum.epochs_per_step : null"
    transform: list[Spec] = [
        {
            "lookup": "line",
            "from": {"data": {"values": list(kinds)}, "key": "line", "fields": of_a_line},
        },
        {"filter": "indexof(off, datum.series) < 0"},
        {"calculate": f"axis == 'epoch' ? ({epoch}) : datum[axis]", "as": "x"},
        {"filter": "isValid(datum.x)"},
        {
            "window": [{"op": "mean", "field": "value", "as": "mean"}],
            "frame": ["@frame"],
            "groupby": ["line"],
            "sort": [{"field": "step"}],
        },
        # A value that is not finite stays a hole, however much its neighbours are smoothed.
        {"calculate": "isValid(datum.value) ? datum.mean : null", "as": "y"},
    ]
    layers = [
        _line(encoding, "datum.thin", 1, 0.45),
        _line(encoding, "!datum.thin", 2.2, 1),
        hover_layer({**encoding, "tooltip": tooltip}),
    ]
    return chart_spec(
        layers,
        HEIGHT,
        data={"values": list(rows)},
        transform=transform,
        params=[{"name": "smooth", "value": smooth}, {"name": "axis", "value": "step"}],
    )


def _line(encoding: Spec, which: str, width: float, opacity: float) -> Spec:
    return {
        "transform": [{"filter": which}],
        "mark": {"type": "line", "strokeWidth": width, "opacity": opacity},
        "encoding": {**encoding, "strokeDash": unscaled("dash")},
    }
