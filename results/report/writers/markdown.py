"""The report as Markdown that also reads well as plain text: tables are padded, and only what
Markdown would interpret is escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from results.report.document import (
    Block,
    Card,
    Cards,
    Cell,
    Code,
    Column,
    Details,
    Document,
    Facts,
    Figure,
    Figures,
    Links,
    Listing,
    Paragraph,
    Table,
)
from results.report.format import plain, plain_lines

_SIGNS = re.compile(r"[\\`*\[\]<>|#~$&]|(?<![^\W_])_|_(?![^\W_])|(?<=[!:])(?=//)|^[-+=]")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


Picture = Callable[[Figure], str | None]  # the path of a chart's picture


def write(document: Document, picture: Picture = lambda figure: None) -> str:
    """Without pictures, a chart is described in words."""
    parts = [f"# {escape(document.title)}"]
    parts += [_block(block, picture) for block in document.first_screen]
    for section in document.sections:
        parts.append(f"## {escape(section.title)}")
        parts += [_block(block, picture) for block in section.blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """One line that Markdown shows as it is: no markup, no HTML, no link, no table border."""
    line = _SIGNS.sub(lambda sign: "\\" + sign.group(), plain(text))
    return _NUMBERED.sub(r"\1\\\2", line)


def _block(block: Block, picture: Picture) -> str:
    match block:
        case Paragraph(text, _, head):
            return f"**{escape(head)}**: {escape(text)}" if head else escape(text)
        case Listing(items):
            return "\n".join(f"- {escape(item)}" for item in items)
        case Facts(items):
            return "\n".join(f"- {escape(name)}: {escape(value)}" for name, value in items)
        case Code(text):
            return _fenced(text)
        case Table():
            return _table(block)
        case Figures(items):
            return "\n".join(f"- {escape(f'{f.title}: {f.summary}')}" for f in items)
        case Details(title, blocks):
            return "\n\n".join([f"{escape(title)}:", *(_block(b, picture) for b in blocks)])
        case Links(items):
            return " · ".join(f"[{escape(item.text)}]({item.target})" for item in items)
        case Cards(items):
            return "\n\n".join(_card(card, picture) for card in items)


def _card(card: Card, picture: Picture) -> str:
    """The verdict and, with pictures, the charts and where they come from."""
    text = f"**{escape(card.title)}**: {escape(f'{card.verdict} {card.more}'.strip())}"
    drawn = [(figure, path) for figure in card.figures if (path := picture(figure))]
    if not drawn:
        return text
    images = [f"![{escape(f'{figure.title}: {figure.summary}')}]({path})" for figure, path in drawn]
    facts = [f"- {escape(name)}: {escape(value)}" for name, value in card.facts]
    badge = escape(f"{card.badge}.")
    return "\n\n".join([text, badge, "\n".join(images), "\n".join(facts)])


def _fenced(text: str) -> str:
    """A fence longer than any run of backticks inside."""
    text = plain_lines(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _table(table: Table) -> str:
    head = [escape(f"{c.title}, {c.unit}" if c.unit else c.title) for c in table.columns]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = [_rule(c, width) for c, width in zip(table.columns, widths, strict=True)]
    lines = [
        _row(head, widths, table.columns),
        f"| {' | '.join(rule)} |",
        *[_row(row, widths, table.columns) for row in rows],
    ]
    caption = f"{escape(table.caption)}\n\n" if table.caption else ""
    return caption + "\n".join(lines)


def _row(texts: list[str], widths: list[int], columns: Sequence[Column]) -> str:
    cells = [
        text.rjust(width) if c.numeric else text.ljust(width)
        for text, width, c in zip(texts, widths, columns, strict=True)
    ]
    return f"| {' | '.join(cells)} |"


def _rule(column: Column, width: int) -> str:
    return "-" * (width - 1) + ":" if column.numeric else "-" * width


def _cell(cell: Cell) -> str:
    text = f"**{escape(cell.text)}**" if cell.tone == "best" else escape(cell.text)
    text = f"[{text}]({cell.target})" if cell.target else text
    return f"{text} ({escape(cell.note)})" if cell.note else text
