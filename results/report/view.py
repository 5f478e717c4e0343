"""What is reported, and how its backends, runs and comparisons are called throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.compare import Row, compare
from results.groups import Comparison, Taken
from results.report.document import Cell, Column
from results.schema import Measurement, RunInfo


@dataclass(frozen=True)
class Run:
    name: str
    folder: Path | None
    info: RunInfo | None
    measurements: Sequence[Measurement]
    problems: Sequence[str]  # files that could not be read

    @property
    def taken(self) -> list[Taken]:
        return [Taken(self.name, m, self.folder) for m in self.measurements]


@dataclass(frozen=True)
class View:
    runs: Sequence[Run]
    titles: Mapping[str, str]  # of backends; a backend without one goes by its name
    comparisons: Sequence[list[Row]]

    @classmethod
    def of(cls, runs: Sequence[Run], titles: Mapping[str, str]) -> View:
        return cls(runs, titles, compare([t for run in runs for t in run.taken]))

    @property
    def several_runs(self) -> bool:
        return len(self.runs) > 1

    @property
    def backends(self) -> list[str]:
        return sorted({m.job.backend for run in self.runs for m in run.measurements})

    @property
    def varied(self) -> bool:
        return any(rows[0].comparison.variant for rows in self.comparisons)

    def title(self, backend: str) -> str:
        return self.titles.get(backend, backend)

    def colour(self, backend: str) -> int:
        """The same for a backend in every plot and table of the report."""
        return self.backends.index(backend)

    def head(self, comparison: Comparison) -> str:
        """'imdb, length 512 (run a)': what a sentence or a plot is about."""
        variant = f", {comparison.variant_text}" if comparison.variant else ""
        run = f" ({comparison.run})" if self.several_runs else ""
        return f"{comparison.task}{variant}{run}"

    def key_columns(self) -> list[Column]:
        """The columns that say whose row it is."""
        names = ["run"] * self.several_runs + ["task"] + ["recipe"] * self.varied + ["backend"]
        return [Column(name, numeric=False) for name in names]

    def key_cells(self, row: Row) -> list[Cell]:
        comparison = row.comparison
        cells = [Cell(comparison.run)] * self.several_runs + [Cell(comparison.task)]
        cells += [Cell(comparison.variant_text)] * self.varied
        return [*cells, Cell(self.title(row.backend), colour=self.colour(row.backend))]
