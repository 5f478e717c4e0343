"""What all charts share: the type, the colours and the look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.report.format import plain

Spec = dict[str, Any]

HOVER = "hover"  # the name of a layer that only an interactive chart has
WIDTH = 460  # pixels of a picture; an interactive chart takes the width of its place
# Okabe and Ito's palette, darkened so that it has contrast on white: colour-blind readers can
# distinguish its members. The page has a lighter one for dark screens, under the same names.
COLOURS = ("#0067a8", "#c24a00", "#007a5c", "#9a4c86", "#7d6200", "#566573")
DASHES: tuple[list[int], ...] = ([1, 0], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [3, 6])
# The page's CSS variables, with their values for a picture that stands alone.
VARIABLES = {
    **{f"--b{i}": colour for i, colour in enumerate(COLOURS)},
    "--ink": "#1c1f23",
    "--quiet": "#5c636b",
    "--rule": "#dfe2e5",
    "--page": "#ffffff",
    "--failed": "#b3261e",
}
INK, QUIET, RULE, PAGE, FAILED = (
    f"var(--{name})" for name in ("ink", "quiet", "rule", "page", "failed")
)
CONFIG: Spec = {
    "aria": False,  # the figure has one description in words
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET,
        "titleColor": QUIET,
        "gridColor": RULE,
        "tickColor": RULE,
        "domainColor": RULE,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelFlush": True,
    },
    "text": {"color": INK, "fontSize": 13},
    "rule": {"color": INK},
}


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification, and what a reader can change in the interactive chart."""

    spec: Mapping[str, Any]
    axes: Sequence[tuple[str, str]] = ()  # horizontal axes to choose from: (field, title)
    smooth: int | None = None  # points on either side that are averaged; None: not on offer


def colour(index: int) -> str:
    """The colour of a backend; they come round again after the last."""
    return f"var(--b{index % len(COLOURS)})"


def dash(index: int) -> list[int]:
    return DASHES[index % len(DASHES)]


def label(text: str) -> str:
    """A text in a chart: one line, not so long that it covers the chart."""
    line = plain(text)
    return line if len(line) <= 60 else f"{line[:59]}\u2026"


def finite(value: float | None, digits: int = 6) -> float | None:
    """A value as JSON can hold it, rounded: None leaves a hole. No sound figure is beyond 1e290."""
    if value is None or not math.isfinite(value) or abs(value) > 1e290:
        return None
    return float(f"{value:.{digits}g}")


def quantitative(field: str, title: str | None, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, **more}


def unscaled(field: str) -> Spec:
    """A field that holds the colour or the dash itself."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def hover_layer(encoding: Spec) -> Spec:
    """Invisible points that show a line's values under the pointer; a picture leaves them out."""
    mark = {"type": "point", "size": 60, "filled": True, "opacity": 0}
    return {"name": HOVER, "mark": mark, "encoding": encoding}


def chart_spec(layers: Sequence[Spec], height: Any, **more: Any) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": CONFIG,
        "width": WIDTH,
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": 4,
        "layer": list(layers),
        **more,
    }
