"""Axes, ticks and SVG elements that all plots share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from results.report.format import number, plain

MOST = 1e290  # arithmetic on it stays finite


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


def axis_range(values: Sequence[float]) -> tuple[float, float]:
    """Where an axis begins and ends; no figure of a sound file is so large as to be cut."""
    return (max(min(values), -MOST), min(max(values), MOST)) if values else (0.0, 1.0)


def share(value: float, ticks: Sequence[float]) -> float:
    """Where a value lies between the first and the last tick, 0 to 1."""
    return min(1.0, max(0.0, (value - ticks[0]) / (ticks[-1] - ticks[0])))


def tick_text(tick: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0]
    # Large steps have no decimals, and their powers could pass what a float holds.
    places = (
        0
        if step > 1e6
        else next((p for p in range(9) if abs(step * 10**p - round(step * 10**p)) < 1e-6), 9)
    )
    return number(tick, places=places)


def anchor(tick: float, ends: Sequence[float]) -> str:
    """Labels at the ends of the axis stay inside the plot."""
    at = share(tick, ends)
    if at < 0.04:
        return "start"
    return "end" if at > 0.96 else "middle"


def line(kind: str, x1: str, y1: float, x2: str, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, x1, f"{y1:g}", x2, f"{y2:g}"
    )


def percent(value: float) -> str:
    return f"{value:.2f}%"


def short(text: str) -> str:
    """A label leaves room for the value on its line, on a phone too."""
    return text if len(text) <= 24 else f"{text[:23]}\u2026"


def text(text: str) -> Markup:
    return escape(plain(text))


def svg(height: float, summary: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg role="img" aria-label="{}" width="100%" height="{}">{}</svg>').format(
        text(summary), f"{height:g}", Markup("").join(parts)
    )
