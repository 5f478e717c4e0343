"""Plots as inline SVG. A small writer of our own, because the report has to stand alone: no
network, no script, colours from the page's CSS variables (so light and dark need one picture),
and text that keeps its size on a phone.

Horizontal positions are percentages of the width and vertical ones pixels, so that a plot takes
any width without scaling its text; lines are drawn in a nested viewport that stretches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from results.report.writers.svg import (
    anchor,
    axis_range,
    line,
    nice_ticks,
    percent,
    share,
    short,
    svg,
    text,
    tick_text,
)

ROW = 48  # pixels per bar, its label above it
BAR = 14
AXIS = 34
TOP = 24  # pixels above a line plot, for its axis's name
LINES_HEIGHT = 220
SMALL_HEIGHT = 150  # of one of many plots
COLOURS = 6  # that the page has; they come round again after the last
LEFT, RIGHT = 11.0, 98.0  # percent: where a line plot begins and ends


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    text: str  # the value as it is written next to the bar
    colour: int
    low: float | None = None
    high: float | None = None
    marks: Sequence[float] = ()  # raw values


@dataclass(frozen=True)
class Line:
    label: str
    xs: Sequence[float]
    ys: Sequence[float]  # values that are not finite leave a hole
    colour: int  # of the backend; its dash follows from it


Shape = Literal["dot", "ring", "square", "cross"]
_SHAPES: dict[Shape, Markup] = {
    "dot": Markup('<circle class="dot" r="4.5"/>'),
    "ring": Markup('<circle class="ring" r="4"/>'),
    "square": Markup('<rect class="dot" x="-4" y="-4" width="8" height="8"/>'),
    "cross": Markup(
        '<line class="cross" x1="-5" y1="-5" x2="5" y2="5"/>'
        '<line class="cross" x1="-5" y1="5" x2="5" y2="-5"/>'
    ),
}


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    colour: int
    shape: Shape = "dot"


@dataclass(frozen=True)
class Level:
    """A line right across, such as a budget."""

    y: float
    label: str


def bars(items: Sequence[Bar], axis: str, *, from_zero: bool = True) -> Markup:
    """Horizontal bars, or dots where the axis does not begin at zero, each with its interval
    and raw values."""
    values = [
        v for item in items for v in (item.value, item.low, item.high, *item.marks) if v is not None
    ]
    ticks = nice_ticks(0 if from_zero else min(values), max(values), 5)
    height = ROW * len(items) + AXIS
    parts = [_bar_axis(ticks, axis, height)]
    for i, item in enumerate(items):
        parts.append(_bar(item, ROW * i, ticks, from_zero))
    return svg(height, f"{axis}: " + "; ".join(f"{i.label} {i.text}" for i in items), parts)


def _bar(item: Bar, top: float, ticks: Sequence[float], from_zero: bool) -> Markup:
    def x(value: float) -> str:
        return percent(share(value, ticks) * 100)

    middle = top + 24 + BAR / 2
    parts = [
        Markup('<text class="label" x="0" y="{}">{}</text>').format(
            top + 17, text(short(item.label))
        ),
        Markup('<text class="value" x="100%" y="{}">{}</text>').format(top + 17, text(item.text)),
    ]
    if from_zero:
        parts.append(
            Markup('<rect class="bar" x="0" y="{}" width="{}" height="{}" rx="2"/>').format(
                top + 24, x(item.value), BAR
            )
        )
    else:
        parts.append(line("rail", "0", middle, "100%", middle))
    parts += [
        Markup('<circle class="mark" cx="{}" cy="{}" r="2"/>').format(x(mark), middle)
        for mark in item.marks
    ]
    if item.low is not None and item.high is not None:
        parts.append(line("interval", x(item.low), middle, x(item.high), middle))
        parts += [
            line("interval", x(end), middle - 5, x(end), middle + 5)
            for end in (item.low, item.high)
        ]
    if not from_zero:
        parts.append(
            Markup('<circle class="dot" cx="{}" cy="{}" r="5"/>').format(x(item.value), middle)
        )
    return Markup('<g class="b{}">{}</g>').format(item.colour % COLOURS, Markup("").join(parts))


def _bar_axis(ticks: Sequence[float], axis: str, height: float) -> Markup:
    base = height - AXIS
    parts = [Markup('<text class="axis" x="0" y="{}">{}</text>').format(height - 3, text(axis))]
    for tick in ticks:
        at = percent(share(tick, ticks) * 100)
        parts.append(line("grid", at, 22, at, base + 4))
        parts.append(
            Markup('<text class="tick {}" x="{}" y="{}">{}</text>').format(
                anchor(tick, ticks), at, base + 17, tick_text(tick, ticks)
            )
        )
    return Markup("").join(parts)


def lines(
    series: Sequence[Line],
    x_axis: str,
    y_axis: str,
    *,
    points: Sequence[Point] = (),
    levels: Sequence[Level] = (),
    height: int = LINES_HEIGHT,
    from_zero: bool = False,
) -> Markup:
    """Several curves in one plot, with points and levels where there are any, and both axes with
    their units; the legend is the page's. The horizontal axis begins at zero, the vertical one
    only if it is asked to."""
    points = [p for p in points if math.isfinite(p.x) and math.isfinite(p.y)]
    xs = [0.0, *(x for s in series for x in s.xs), *(p.x for p in points)]
    ys = [
        *(y for s in series for y in s.ys if math.isfinite(y)),
        *(p.y for p in points),
        *(level.y for level in levels),
        *([0.0] if from_zero else []),
    ]
    end = axis_range(xs)[1] * (1.04 if points else 1) or 1.0  # no point on the edge itself
    ends, y_ticks = (0.0, end), nice_ticks(*axis_range(ys), height // 44)
    drawn = Markup("").join(_polyline(s, ends, y_ticks) for s in series)
    parts = [
        *_axes(ends, y_ticks, x_axis, y_axis, height),
        *[part for level in levels for part in _level(level, y_ticks, height)],
        Markup(
            '<svg x="{}" y="{}" width="{}" height="{}" viewBox="0 0 1000 1000" '
            'preserveAspectRatio="none">{}</svg>'
        ).format(percent(LEFT), TOP, percent(RIGHT - LEFT), height, drawn),
        *[
            Markup('<svg class="b{}" x="{}" y="{:.1f}" overflow="visible">{}</svg>').format(
                p.colour % COLOURS,
                _across(p.x, ends),
                _down(p.y, y_ticks, height),
                _SHAPES[p.shape],
            )
            for p in points
        ],
    ]
    return svg(
        height + TOP + AXIS, f"{y_axis} over {x_axis}: " + ", ".join(s.label for s in series), parts
    )


def key(shape: Shape, colour: int) -> Markup:
    """A point's shape for a legend."""
    return Markup(
        '<svg class="b{}" width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">{}</svg>'
    ).format(colour % COLOURS, _SHAPES[shape])


def _axes(
    ends: tuple[float, float], y_ticks: Sequence[float], x_axis: str, y_axis: str, height: int
) -> list[Markup]:
    parts = [
        Markup('<text class="axis" x="0" y="12">{}</text>').format(text(y_axis)),
        Markup('<text class="axis end" x="{}" y="{}">{}</text>').format(
            percent(RIGHT), height + TOP + AXIS - 3, text(x_axis)
        ),
    ]
    for tick in y_ticks:
        y = _down(tick, y_ticks, height)
        parts.append(line("grid", percent(LEFT), y, percent(RIGHT), y))
        parts.append(
            Markup('<text class="tick end" x="{}" y="{}">{}</text>').format(
                percent(LEFT - 1.2), f"{y + 4:g}", tick_text(tick, y_ticks)
            )
        )
    x_ticks = nice_ticks(*ends, 5)
    for tick in (tick for tick in x_ticks if tick <= ends[1]):
        parts.append(
            Markup('<text class="tick {}" x="{}" y="{}">{}</text>').format(
                anchor(tick, ends), _across(tick, ends), TOP + height + 17, tick_text(tick, x_ticks)
            )
        )
    return parts


def _level(level: Level, y_ticks: Sequence[float], height: int) -> list[Markup]:
    y = _down(level.y, y_ticks, height)
    return [
        line("level", percent(LEFT), y, percent(RIGHT), y),
        Markup('<text class="tick" x="{}" y="{}">{}</text>').format(
            percent(LEFT + 1), f"{y - 4:g}", text(level.label)
        ),
    ]


def _across(x: float, ends: Sequence[float]) -> str:
    return percent(LEFT + (RIGHT - LEFT) * share(x, ends))


def _down(y: float, y_ticks: Sequence[float], height: int) -> float:
    return TOP + height * (1 - share(y, y_ticks))


def _polyline(series: Line, ends: Sequence[float], y_ticks: Sequence[float]) -> Markup:
    pieces: list[list[str]] = [[]]
    for x, y in zip(series.xs, series.ys, strict=True):
        if math.isfinite(y):
            pieces[-1].append(f"{share(x, ends) * 1000:.1f},{(1 - share(y, y_ticks)) * 1000:.1f}")
        elif pieces[-1]:
            pieces.append([])
    return Markup("").join(
        Markup('<polyline class="line b{}" points="{}"/>').format(
            series.colour % COLOURS, " ".join(points)
        )
        for points in pieces
        if points
    )
