"""The overview as plain text, for the end of a run."""

from __future__ import annotations

from results.report.document import Cell, Column, Table
from results.report.format import plain


def text_table(table: Table) -> str:
    head = [_head(column) for column in table.columns]
    rows = [[_text(cell) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    caption = [plain(table.caption)] if table.caption else []
    return "\n".join([*caption, *(_line(line, widths, table) for line in lines)])


def _line(texts: list[str], widths: list[int], table: Table) -> str:
    padded = [
        text.rjust(width) if column.numeric else text.ljust(width)
        for text, width, column in zip(texts, widths, table.columns, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _head(column: Column) -> str:
    return f"{column.title} {column.unit}".strip()


def _text(cell: Cell) -> str:
    return plain(f"{cell.text} [{cell.note}]" if cell.note else cell.text)
