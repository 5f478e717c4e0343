"""The parts of a report, before it is Markdown or HTML.

The sections are built from these blocks once; each writer walks them and escapes every string in
one place, so that no text of a measurement reaches the output any other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

Tone = Literal["", "best", "gap", "warning", "failed", "measured", "emulated", "predicted"]


@dataclass(frozen=True)
class Column:
    title: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    text: str
    note: str = ""  # an interval, or the reason why there is no figure
    tone: Tone = ""
    colour: int | None = None  # of a backend


@dataclass(frozen=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Paragraph:
    text: str
    tone: Literal["", "lead", "small", "warning", "failed"] = ""
    head: str = ""  # its subject, emphasised at its start


@dataclass(frozen=True)
class Listing:
    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Facts about the figures above or below: (name, value)."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Legend:
    text: str
    colour: int  # of the backend; its dash follows from it
    mark: Markup | None = None  # a point's shape, from `plots`, instead of the line


@dataclass(frozen=True)
class Figure:
    """A plot; `svg` comes from `plots`, which escapes its texts. `summary` describes it in words, for
    screen readers and for the Markdown report."""

    title: str
    svg: Markup
    summary: str
    legend: Sequence[Legend] = ()


@dataclass(frozen=True)
class Figures:
    """Plots next to each other where there is room; `small` where there are many."""

    items: Sequence[Figure]
    small: bool = False


@dataclass(frozen=True)
class Details:
    """Blocks that are folded in HTML."""

    title: str
    blocks: Sequence[Block]


Block = Table | Paragraph | Listing | Facts | Code | Figures | Details


@dataclass(frozen=True)
class Section:
    title: str
    anchor: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    title: str
    first_screen: Sequence[Block]
    sections: Sequence[Section] = field(default_factory=list)
