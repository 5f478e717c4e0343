"""The parts of a report, before it is Markdown or HTML.

The sections are built from these blocks once; each writer walks them and escapes every string in
one place, so that no text of a measurement reaches the output any other way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from results.report.charts.chart import Chart
    from results.report.charts.lines import Shape

Tone = Literal["", "best", "gap", "warning", "failed", "measured", "emulated", "predicted"]
# Of all figures of a card, of some, of none; or a certificate that does not hold.
Proof = Literal["proven", "part", "unproven", "failed"]


@dataclass(frozen=True)
class Column:
    title: str
    unit: str = ""
    numeric: bool = True
    group: bool = False  # a heading above the rows that share its value, in HTML; these come first


@dataclass(frozen=True)
class Cell:
    text: str
    note: str = ""  # an interval, or the reason why there is no figure
    tone: Tone = ""
    colour: int | None = None  # of a backend
    target: str = ""  # a link, as in `Link`


@dataclass(frozen=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    @property
    def grouped_by(self) -> int:
        """How many of its first columns are headings above the rows."""
        return sum(column.group for column in self.columns)

    @property
    def parts(self) -> list[tuple[str, list[Sequence[Cell]]]]:
        """Each heading with the other cells of its rows; one part without a heading where no column
        is one."""
        found: list[tuple[str, list[Sequence[Cell]]]] = []
        for row in self.rows:
            texts = [
                f"{cell.text} ({cell.note})" if cell.note else cell.text
                for cell in row[: self.grouped_by]
            ]
            heading = " \u00b7 ".join(text for text in texts if text)
            if not found or found[-1][0] != heading:
                found.append((heading, []))
            found[-1][1].append(row[self.grouped_by :])
        return found


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
    mark: Shape | None = None  # of a point; None: a line


@dataclass(frozen=True)
class Figure:
    """A chart. `summary` describes it in words, for screen readers."""

    title: str
    chart: Chart
    summary: str
    legend: Sequence[Legend] = ()
    picture: bool = True  # False: without JavaScript, the page has the summary instead


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


@dataclass(frozen=True)
class Link:
    text: str
    target: str  # '#anchor', or a page of the site; made by `page_name`, never from a measurement


@dataclass(frozen=True)
class Links:
    items: Sequence[Link]


@dataclass(frozen=True)
class Card:
    """One machine and task at a glance."""

    title: str
    verdict: str  # the first sentence
    more: str  # the others
    badge: str  # whether it was the same work
    proof: Proof
    certificate: Link | None  # where the badge leads
    facts: Sequence[tuple[str, str]]
    figures: Sequence[Figure]
    links: Sequence[Link] = ()


@dataclass(frozen=True)
class Cards:
    items: Sequence[Card]


Block = Table | Paragraph | Listing | Facts | Code | Figures | Details | Links | Cards


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

    @property
    def has_charts(self) -> bool:
        return any(
            any(figures_of(block))
            for block in (*self.first_screen, *(b for s in self.sections for b in s.blocks))
        )


def without_pictures(block: Block) -> Block:
    """The block with charts that are drawn by the page's script alone: a picture of each takes time."""
    match block:
        case Details(title, blocks):
            return Details(title, [without_pictures(inner) for inner in blocks])
        case Figures(items, small):
            return Figures([replace(figure, picture=False) for figure in items], small)
    return block


def figures_of(block: Block) -> Iterator[Figure]:
    """All charts inside a block."""
    match block:
        case Figures(items):
            yield from items
        case Cards(cards):
            for card in cards:
                yield from card.figures
        case Details(_, blocks):
            for inner in blocks:
                yield from figures_of(inner)
