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

from markupsafe import Markup, escape

from results.report.format import number, plain

ROW = 48  # pixels per bar, its label above it
BAR = 14
AXIS = 34
LINES_HEIGHT = 220
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


def bars(items: Sequence[Bar], axis: str, *, from_zero: bool = True) -> Markup:
    """Horizontal bars, or dots where the axis does not begin at zero, each with its interval
    and raw values."""
    values = [v for item in items for v in (item.value, item.low, item.high, *item.marks)
              if v is not None]
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
            top + 17, _text(_short(item.label))),
        Markup('<text class="value" x="100%" y="{}">{}</text>').format(top + 17, _text(item.text)),
    ]
    if from_zero:
        parts.append(Markup('<rect class="bar" x="0" y="{}" width="{}" height="{}" rx="2"/>')
                     .format(top + 24, x(item.value), BAR))
    else:
        parts.append(_line("rail", "0", middle, "100%", middle))
    parts += [Markup('<circle class="mark" cx="{}" cy="{}" r="2"/>').format(x(mark), middle)
              for mark in item.marks]
    if item.low is not None and item.high is not None:
        parts.append(_line("interval", x(item.low), middle, x(item.high), middle))
        parts += [_line("interval", x(end), middle - 5, x(end), middle + 5)
                  for end in (item.low, item.high)]
    if not from_zero:
        parts.append(Markup('<circle class="dot" cx="{}" cy="{}" r="5"/>')
                     .format(x(item.value), middle))
    return Markup('<g class="b{}">{}</g>').format(item.colour % COLOURS, Markup("").join(parts))


def _bar_axis(ticks: Sequence[float], axis: str, height: float) -> Markup:
    base = height - AXIS
    parts = [Markup('<text class="axis" x="0" y="{}">{}</text>').format(height - 3, _text(axis))]
    for tick in ticks:
        at = _percent(_share(tick, ticks) * 100)
        parts.append(_line("grid", at, 22, at, base + 4))
        parts.append(Markup('<text class="tick {}" x="{}" y="{}">{}</text>').format(
            _anchor(tick, ticks), at, base + 17, _tick(tick, ticks)))
    return Markup("").join(parts)


def lines(series: Sequence[Line], x_axis: str, y_axis: str) -> Markup:
    """Several curves in one plot, both axes with their units; the legend is the page's."""
    xs = [x for s in series for x in s.xs]
    ys = [y for s in series for y in s.ys if math.isfinite(y)]
    end, y_ticks = max(xs, default=1.0), nice_ticks(*_range(ys), 5)
    ends, x_ticks = (0.0, end), [tick for tick in nice_ticks(0, end, 5) if tick <= end]
    top, height = 24, LINES_HEIGHT + 24 + AXIS
    parts = [Markup('<text class="axis" x="0" y="12">{}</text>').format(_text(y_axis)),
             Markup('<text class="axis end" x="{}" y="{}">{}</text>').format(
                 _percent(RIGHT), height - 3, _text(x_axis))]
    for tick in y_ticks:
        y = top + LINES_HEIGHT * (1 - _share(tick, y_ticks))
        parts.append(_line("grid", _percent(LEFT), y, _percent(RIGHT), y))
        parts.append(Markup('<text class="tick end" x="{}" y="{}">{}</text>').format(
            _percent(LEFT - 1.2), f"{y + 4:g}", _tick(tick, y_ticks)))
    for tick in x_ticks:
        at = _percent(LEFT + (RIGHT - LEFT) * _share(tick, ends))
        parts.append(Markup('<text class="tick {}" x="{}" y="{}">{}</text>').format(
            _anchor(tick, ends), at, top + LINES_HEIGHT + 17, _tick(tick, x_ticks)))
    drawn = Markup("").join(_polyline(s, ends, y_ticks) for s in series)
    parts.append(Markup(
        '<svg x="{}" y="{}" width="{}" height="{}" viewBox="0 0 1000 1000" '
        'preserveAspectRatio="none">{}</svg>').format(
            _percent(LEFT), top, _percent(RIGHT - LEFT), LINES_HEIGHT, drawn))
    return _svg(height, f"{y_axis} over {x_axis}: " + ", ".join(s.label for s in series), parts)


def _polyline(series: Line, ends: Sequence[float], y_ticks: Sequence[float]) -> Markup:
    pieces: list[list[str]] = [[]]
    for x, y in zip(series.xs, series.ys, strict=True):
        if math.isfinite(y):
            pieces[-1].append(f"{_share(x, ends) * 1000:.1f},"
                              f"{(1 - _share(y, y_ticks)) * 1000:.1f}")
        elif pieces[-1]:
            pieces.append([])
    return Markup("").join(
        Markup('<polyline class="line b{}" points="{}"/>').format(
            series.colour % COLOURS, " ".join(points))
        for points in pieces if points)


def thinned(xs: Sequence[float], ys: Sequence[float],
            most: int = 120) -> tuple[list[float], list[float], int]:
    """At most `most` points, each the mean of that many neighbours; and how many."""
    size = max(1, math.ceil(len(xs) / most))
    chunks = range(0, len(xs), size)
    return ([sum(xs[i:i + size]) / len(xs[i:i + size]) for i in chunks],
            [sum(ys[i:i + size]) / len(ys[i:i + size]) for i in chunks], size)


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
    return (min(values), max(values)) if values else (0.0, 1.0)


def _share(value: float, ticks: Sequence[float]) -> float:
    """Where a value lies between the first and the last tick, 0 to 1."""
    return min(1.0, max(0.0, (value - ticks[0]) / (ticks[-1] - ticks[0])))


def _tick(tick: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0]
    places = next((p for p in range(9) if abs(step * 10**p - round(step * 10**p)) < 1e-6), 9)
    return number(tick, places=places)


def _anchor(tick: float, ends: Sequence[float]) -> str:
    """Labels at the ends of the axis stay inside the plot."""
    share = _share(tick, ends)
    return "start" if share < 0.04 else "end" if share > 0.96 else "middle"


def _line(kind: str, x1: str, y1: float, x2: str, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, x1, f"{y1:g}", x2, f"{y2:g}")


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _short(text: str) -> str:
    """A label leaves room for the value on its line, on a phone too."""
    return text if len(text) <= 24 else f"{text[:23]}\u2026"


def _text(text: str) -> Markup:
    return escape(plain(text))


def _svg(height: float, summary: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg role="img" aria-label="{}" width="100%" height="{}">{}</svg>').format(
        _text(summary), f"{height:g}", Markup("").join(parts))
