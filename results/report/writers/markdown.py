"""The report as Markdown that also reads well as plain text: tables are padded, and only what
Markdown would interpret is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from results.report.document import (
    Block,
    Cell,
    Code,
    Column,
    Details,
    Document,
    Facts,
    Figures,
    Listing,
    Paragraph,
    Table,
)
from results.report.format import plain, plain_lines

_SIGNS = re.compile(r"[\\`*\[\]<>|#~$&]|(?<![^\W_])_|_(?![^\W_])|(?<=[!:])(?=//)|^[-+=]")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


def write(document: Document) -> str:
    parts = [f"# {escape(document.title)}", *map(_block, document.first_screen)]
    for section in document.sections:
        parts += [f"## {escape(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """One line that Markdown shows as it is: no markup, no HTML, no link, no table border."""
    line = _SIGNS.sub(lambda sign: "\\" + sign.group(), plain(text))
    return _NUMBERED.sub(r"\1\\\2", line)


def _block(block: Block) -> str:
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
            return "\n\n".join([f"{escape(title)}:", *map(_block, blocks)])


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
    return f"{text} ({escape(cell.note)})" if cell.note else text
