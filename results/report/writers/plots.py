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

from markupsafe import Markup, escape

from results.report.format import number, plain

ROW = 48  # pixels per bar, its label above it
BAR = 14
AXIS = 34
TOP = 24  # pixels above a line plot, for its axis's name
LINES_HEIGHT = 220
SMALL_HEIGHT = 150  # of one of many plots
MOST = 1e290  # arithmetic on it stays finite
COLOURS = 6  # that the page has; they come round again after the last
LEFT, RIGHT = 11.0, 98.0  # percent: where a line plot begins and ends


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    text: str  # the value as it is written beside the bar
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
    return _svg(height, f"{axis}: " + "; ".join(f"{i.label} {i.text}" for i in items), parts)


def _bar(item: Bar, top: float, ticks: Sequence[float], from_zero: bool) -> Markup:
    def x(value: float) -> str:
        return _percent(_share(value, ticks) * 100)

    middle = top + 24 + BAR / 2
    parts = [
        Markup('<text class="label" x="0" y="{}">{}</text>').format(
            top + 17, _text(_short(item.label))
        ),
        Markup('<text class="value" x="100%" y="{}">{}</text>').format(top + 17, _text(item.text)),
    ]
    if from_zero:
        parts.append(
            Markup('<rect class="bar" x="0" y="{}" width="{}" height="{}" rx="2"/>').format(
                top + 24, x(item.value), BAR
            )
        )
    else:
        parts.append(_line("rail", "0", middle, "100%", middle))
    parts += [
        Markup('<circle class="mark" cx="{}" cy="{}" r="2"/>').format(x(mark), middle)
        for mark in item.marks
    ]
    if item.low is not None and item.high is not None:
        parts.append(_line("interval", x(item.low), middle, x(item.high), middle))
        parts += [
            _line("interval", x(end), middle - 5, x(end), middle + 5)
            for end in (item.low, item.high)
        ]
    if not from_zero:
        parts.append(
            Markup('<circle class="dot" cx="{}" cy="{}" r="5"/>').format(x(item.value), middle)
        )
    return Markup('<g class="b{}">{}</g>').format(item.colour % COLOURS, Markup("").join(parts))


def _bar_axis(ticks: Sequence[float], axis: str, height: float) -> Markup:
    base = height - AXIS
    parts = [Markup('<text class="axis" x="0" y="{}">{}</text>').format(height - 3, _text(axis))]
    for tick in ticks:
        at = _percent(_share(tick, ticks) * 100)
        parts.append(_line("grid", at, 22, at, base + 4))
        parts.append(
            Markup('<text class="tick {}" x="{}" y="{}">{}</text>').format(
                _anchor(tick, ticks), at, base + 17, _tick(tick, ticks)
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
        *[0.0] * from_zero,
    ]
    end = _range(xs)[1] * (1.04 if points else 1) or 1.0  # no point on the edge itself
    ends, y_ticks = (0.0, end), nice_ticks(*_range(ys), height // 44)
    drawn = Markup("").join(_polyline(s, ends, y_ticks) for s in series)
    parts = [
        *_axes(ends, y_ticks, x_axis, y_axis, height),
        *[part for level in levels for part in _level(level, y_ticks, height)],
        Markup(
            '<svg x="{}" y="{}" width="{}" height="{}" viewBox="0 0 1000 1000" '
            'preserveAspectRatio="none">{}</svg>'
        ).format(_percent(LEFT), TOP, _percent(RIGHT - LEFT), height, drawn),
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
    return _svg(
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
        Markup('<text class="axis" x="0" y="12">{}</text>').format(_text(y_axis)),
        Markup('<text class="axis end" x="{}" y="{}">{}</text>').format(
            _percent(RIGHT), height + TOP + AXIS - 3, _text(x_axis)
        ),
    ]
    for tick in y_ticks:
        y = _down(tick, y_ticks, height)
        parts.append(_line("grid", _percent(LEFT), y, _percent(RIGHT), y))
        parts.append(
            Markup('<text class="tick end" x="{}" y="{}">{}</text>').format(
                _percent(LEFT - 1.2), f"{y + 4:g}", _tick(tick, y_ticks)
            )
        )
    x_ticks = nice_ticks(*ends, 5)
    for tick in (tick for tick in x_ticks if tick <= ends[1]):
        parts.append(
            Markup('<text class="tick {}" x="{}" y="{}">{}</text>').format(
                _anchor(tick, ends), _across(tick, ends), TOP + height + 17, _tick(tick, x_ticks)
            )
        )
    return parts


def _level(level: Level, y_ticks: Sequence[float], height: int) -> list[Markup]:
    y = _down(level.y, y_ticks, height)
    return [
        _line("level", _percent(LEFT), y, _percent(RIGHT), y),
        Markup('<text class="tick" x="{}" y="{}">{}</text>').format(
            _percent(LEFT + 1), f"{y - 4:g}", _text(level.label)
        ),
    ]


def _across(x: float, ends: Sequence[float]) -> str:
    return _percent(LEFT + (RIGHT - LEFT) * _share(x, ends))


def _down(y: float, y_ticks: Sequence[float], height: int) -> float:
    return TOP + height * (1 - _share(y, y_ticks))


def _polyline(series: Line, ends: Sequence[float], y_ticks: Sequence[float]) -> Markup:
    pieces: list[list[str]] = [[]]
    for x, y in zip(series.xs, series.ys, strict=True):
        if math.isfinite(y):
            pieces[-1].append(f"{_share(x, ends) * 1000:.1f},{(1 - _share(y, y_ticks)) * 1000:.1f}")
        elif pieces[-1]:
            pieces.append([])
    return Markup("").join(
        Markup('<polyline class="line b{}" points="{}"/>').format(
            series.colour % COLOURS, " ".join(points)
        )
        for points in pieces
        if points
    )


def thinned(
    xs: Sequence[float], ys: Sequence[float], most: int = 120
) -> tuple[list[float], list[float], int]:
    """At most `most` points, each the mean of that many neighbours; and how many."""
    size = max(1, math.ceil(len(xs) / most))
    chunks = range(0, len(xs), size)
    return (
        [sum(xs[i : i + size]) / len(xs[i : i + size]) for i in chunks],
        [sum(ys[i : i + size]) / len(ys[i : i + size]) for i in chunks],
        size,
    )


def nice_ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers, evenly spaced, from at most `low` to at least `high`."""
    if high <= low:
        high = low + (abs(low) or 1)
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Where an axis begins and ends; no figure of a sound file is so large as to be cut."""
    return (max(min(values), -MOST), min(max(values), MOST)) if values else (0.0, 1.0)


def _share(value: float, ticks: Sequence[float]) -> float:
    """Where a value lies between the first and the last tick, 0 to 1."""
    return min(1.0, max(0.0, (value - ticks[0]) / (ticks[-1] - ticks[0])))


def _tick(tick: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0]
    # Large steps have no decimals, and their powers could pass what a float holds.
    places = (
        0
        if step > 1e6
        else next((p for p in range(9) if abs(step * 10**p - round(step * 10**p)) < 1e-6), 9)
    )
    return number(tick, places=places)


def _anchor(tick: float, ends: Sequence[float]) -> str:
    """Labels at the ends of the axis stay inside the plot."""
    share = _share(tick, ends)
    return "start" if share < 0.04 else "end" if share > 0.96 else "middle"


def _line(kind: str, x1: str, y1: float, x2: str, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, x1, f"{y1:g}", x2, f"{y2:g}"
    )


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _short(text: str) -> str:
    """A label leaves room for the value on its line, on a phone too."""
    return text if len(text) <= 24 else f"{text[:23]}\u2026"


def _text(text: str) -> Markup:
    return escape(plain(text))


def _svg(height: float, summary: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg role="img" aria-label="{}" width="100%" height="{}">{}</svg>').format(
        _text(summary), f"{height:g}", Markup("").join(parts)
    )
