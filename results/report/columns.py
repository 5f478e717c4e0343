"""The columns and cells that say which comparison and backend a row belongs to."""

from __future__ import annotations

from results.analysis.compare import Row
from results.analysis.groups import Comparison
from results.report.document import Cell, Column
from results.report.view import View


def key_columns(view: View) -> list[Column]:
    return [*comparison_columns(view), Column("backend", numeric=False)]


def key_cells(view: View, row: Row) -> list[Cell]:
    return [*comparison_cells(view, row.comparison), backend_cell(view, row.backend)]


def comparison_columns(view: View) -> list[Column]:
    """Headings above the rows of a comparison."""
    names = ["task", *(["recipe"] if _recipes_vary(view) else [])]
    names += [view.origin_word] if view.several_runs else []
    return [Column(name, numeric=False, group=True) for name in names]


def comparison_cells(view: View, comparison: Comparison) -> list[Cell]:
    cells = [Cell(comparison.task)]
    cells += [Cell(comparison.varied_text)] if _recipes_vary(view) else []
    return cells + ([Cell(view.origin_name(comparison.run))] if view.several_runs else [])


def backend_cell(view: View, backend: str, note: str = "") -> Cell:
    return Cell(view.title(backend), note, colour=view.colour(backend))


def _recipes_vary(view: View) -> bool:
    return any(rows[0].comparison.varied for rows in view.comparisons)
