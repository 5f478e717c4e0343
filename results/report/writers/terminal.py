"""Tables as plain text for the terminal, at most 100 columns wide."""

from __future__ import annotations

import io

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table as TextTable
from rich.text import Text

from results.report.document import Cell, Column, Table
from results.report.format import plain

WIDTH = 100


def text_table(table: Table) -> str:
    """The table with its caption above; long cells wrap. There are no colours."""
    text = TextTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    rows = [[_text(cell) for cell in row] for row in table.rows]
    for column in table.columns:
        justify: JustifyMethod = "right" if column.numeric else "left"
        text.add_column(Text(_head(column)), justify=justify, overflow="fold")
    for row in rows:
        text.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(text)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    caption = [plain(table.caption)] if table.caption else []
    return "\n".join([*caption, *(line for line in lines if line)])


def _head(column: Column) -> str:
    """The unit below the title, which keeps columns narrow."""
    return f"{column.title}\n{column.unit}".strip()


def _text(cell: Cell) -> str:
    """A note of several words goes on a line of its own."""
    text, note = plain(cell.text), plain(cell.note)
    if not note:
        return text
    return f"{text}\n[{note}]" if " " in note else f"{text} [{note}]"
