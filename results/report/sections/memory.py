"""How much memory? Every measured figure, and the reason where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.compare import Row
from results.analysis.memory import MEMORY_FIGURES, MemoryRow
from results.report.charts import Bar, bars
from results.report.columns import key_cells, key_columns
from results.report.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Listing,
    Paragraph,
    Section,
    Table,
)
from results.report.format import GIB, count, gap, gibibytes
from results.report.provenance import labels, recipe_notes
from results.report.sections.overview import MEMORY_TITLES, memory_figure
from results.report.view import View

PHASES = ("forward", "backward", "optimizer")  # in their order
UNITS = {name: "GiB" for name in MEMORY_FIGURES if name.endswith("_bytes")} | {
    "peak_process_bytes": "GiB more than before",
    "before_model_bytes": "GiB, not in the peak",
}


def section(view: View) -> Section | None:
    measured = [rows for rows in view.comparisons if any(r.memory for r in rows)]
    if not measured:
        return None
    notes = [note for rows in measured for note in recipe_notes(view, rows, "memory")]
    drawn = [figure for rows in measured for figure in figures(view, rows)]
    blocks: list[Block] = [Figures(drawn)] if drawn else []
    blocks += [
        memory_table(view, measured),
        Paragraph(
            "Measured in a job of its own that is not timed. Allocated and reserved are peaks of the "
            "framework's allocator. Device is the peak use of the GPU, minus its use before the "
            "worker started. Process is the worker's peak resident memory, minus its resident "
            "memory before building the model (next column).",
            "small",
        ),
    ]
    if any(memory_figure(rows) == "peak_device_bytes" for rows in measured):
        blocks.append(
            Paragraph(
                "A pool may grow in regions that double, as TensorFlow's does on a GPU. Then the device peak "
                "is up to twice what the tensors need: compare the allocated peak too.",
                "small",
            )
        )
    blocks += _phases(view, measured)
    blocks += [Listing(notes)] if notes else []
    return Section("How much memory?", "memory", [*blocks, *labels(view, "memory")])


def figures(view: View, rows: Sequence[Row]) -> list[Figure]:
    """The chart of the headline figure; empty where no row has it."""
    name = memory_figure(rows)
    items = [
        Bar(view.title(r.backend), value / GIB, f"{gibibytes(value)} GiB", view.colour(r.backend))
        for r in rows
        if r.memory and (value := r.memory.figures[name])
    ]
    if not items:
        return []
    summary = "; ".join(f"{item.label} {item.text}" for item in items)
    title = f"Memory, {MEMORY_TITLES[name]}: {view.head(rows[0].comparison)}"
    return [Figure(title, bars(items, f"{MEMORY_TITLES[name]}, GiB"), summary)]


def _phases(view: View, measured: Sequence[Sequence[Row]]) -> list[Block]:
    """The peak of each phase of a step, where a backend has phases."""
    rows = [row for rows in measured for row in rows if row.memory]
    if not any(row.memory and row.memory.phases for row in rows):
        return []
    return [
        Table(
            [*key_columns(view), *phase_columns()],
            [[*key_cells(view, row), *phase_cells(row.memory)] for row in rows],
            "The peak of each phase of one step, after the peaks above",
        ),
        Paragraph(
            "One further step, with the optimizer's state allocated: the allocator's peak on a GPU, "
            "the process's peak on a CPU. The forward pass includes the loss, the backward pass "
            "includes gradient clipping. A framework that runs a step as one graph has no phases.",
            "small",
        ),
    ]


def phase_columns() -> list[Column]:
    return [Column(name, "GiB") for name in PHASES]


def phase_cells(row: MemoryRow | None) -> list[Cell]:
    phases = row.phases if row else None
    if not phases:
        return [gap(row.gaps.get("phase_peaks", "not_run") if row else None)] * len(PHASES)
    return [Cell(gibibytes(phases[name])) if name in phases else gap("not_run") for name in PHASES]


def memory_table(view: View, measured: Sequence[Sequence[Row]]) -> Table:
    every = [row for rows in measured for row in rows if row.status("memory") != "not_asked"]
    # No column for what none has, as most figures of a GPU on a CPU.
    names = [
        name
        for name in MEMORY_FIGURES
        if any(row.memory and row.memory.figures[name] is not None for row in every)
    ]
    columns = [
        *key_columns(view),
        *[Column(MEMORY_TITLES[name], UNITS.get(name, "")) for name in names],
    ]
    return Table(columns, [_cells(view, row, names) for row in every])


def _cells(view: View, row: Row, names: Sequence[str]) -> list[Cell]:
    if row.memory is None:
        return [*key_cells(view, row), *[gap(row.status("memory"))] * len(names)]
    return [*key_cells(view, row), *[_figure_cell(row.memory, name) for name in names]]


def _figure_cell(memory: MemoryRow, name: str) -> Cell:
    value = memory.figures[name]
    if value is None:
        gaps = memory.gaps
        if name == "peak_allocated_bytes" and gaps.get(name) == "no_gpu":
            return Cell("not counted on a CPU", tone="gap")  # a figure that others have there
        return gap(
            gaps.get(
                name,
                None if name.endswith("_bytes") else gaps.get("peak_reserved_bytes", "unsupported"),
            )
        )
    return Cell(gibibytes(value) if name.endswith("_bytes") else count(value))
