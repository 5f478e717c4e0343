"""What is reported, and how its backends, runs and comparisons are called throughout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.analysis.compare import Row, compare
from results.analysis.controls import NoisePair, Tax, noise_floors, noise_pairs, taxes
from results.analysis.groups import Comparison, Taken
from results.analysis.limits import Grid, Limit, grids, limits_of
from results.analysis.proof import NOT_PROVEN, gaps, proof
from results.report.document import Cell, Column
from results.schema import (
    PLAIN,
    Certificate,
    Measurement,
    Prediction,
    PredictionCase,
    RunInfo,
    Tuning,
)


@dataclass(frozen=True)
class Run:
    name: str
    folder: Path | None
    info: RunInfo | None
    measurements: Sequence[Measurement]
    problems: Sequence[str]  # files that could not be read
    certificates: Sequence[Certificate] = ()
    predictions: Sequence[Prediction] = ()
    cases: Sequence[PredictionCase] = ()  # predictions held against what was found
    tuning: Tuning | None = None
    of_earlier_version: bool = False  # its files were converted when they were read

    @property
    def taken(self) -> list[Taken]:
        return [Taken(self.name, m, self.folder) for m in self.measurements]


@dataclass(frozen=True)
class View:
    runs: Sequence[Run]
    titles: Mapping[str, str]  # of backends; a backend without one goes by its name
    comparisons: Sequence[list[Row]]
    taxes: Sequence[Tax] = ()
    noise_pairs: Sequence[NoisePair] = ()
    grids: Sequence[Grid] = ()  # what fits where

    @classmethod
    def of(cls, runs: Sequence[Run], titles: Mapping[str, str]) -> View:
        taken = [t for run in runs for t in _compared(run)]
        return cls(runs, titles, compare(taken), taxes(taken), noise_pairs(taken), _grids(runs))

    @property
    def several_runs(self) -> bool:
        return len(self.runs) > 1

    @property
    def backends(self) -> list[str]:
        return sorted(
            {
                name
                for run in self.runs
                for name in (
                    *(m.job.backend for m in run.measurements),
                    *(p.backend for p in run.predictions),
                    *(c.backend for c in run.cases),
                )
            }
        )

    @property
    def taken(self) -> list[Taken]:
        return [taken for run in self.runs for taken in run.taken]

    @property
    def limits(self) -> list[Limit]:
        return [limit for grid in self.grids for limit in grid.limits]

    @property
    def predictions(self) -> list[Prediction]:
        return [prediction for run in self.runs for prediction in run.predictions]

    @property
    def cases(self) -> list[PredictionCase]:
        return [case for run in self.runs for case in run.cases]

    @property
    def tunings(self) -> list[Tuning]:
        return [run.tuning for run in self.runs if run.tuning]

    @property
    def varied(self) -> bool:
        return any(rows[0].comparison.varied for rows in self.comparisons)

    @property
    def floors(self) -> dict[Comparison, float]:
        """The noise floor of every comparison that has one, as a factor above 1."""
        return noise_floors(self.noise_pairs)

    def proof_of(self, works: Iterable[tuple[str, Measurement]]) -> str:
        """How it is known that the backends did the same work in what a run's measurements
        compare, told apart where tasks differ."""
        precisions: dict[tuple[str, str], dict[str, None]] = {}
        for run, m in works:
            words = precisions.setdefault((run, m.job.task), {})
            if m.job.question != "equivalence":
                words[str(m.recipe.get("precision", "fp32"))] = None
        by_name = {run.name: run for run in self.runs}
        found = {}
        for (name, task), compared in precisions.items():
            prover = self._prover(by_name[name], task)
            certificates = [c for c in prover.certificates if c.task == task]
            missing = gaps(
                [
                    m
                    for m in prover.measurements
                    if m.job.task == task and m.job.question == "equivalence"
                ],
                certificates,
            )
            text = proof(certificates, self.titles, compared, missing)
            there = "" if prover.name == name else f", in run {prover.name}"
            found[self._named(name, task)] = text + there
        if len(set(found.values())) > 1:
            return "; ".join(f"{name}: {text}" for name, text in found.items())
        return next(iter(found.values()), NOT_PROVEN)

    def _prover(self, run: Run, task: str) -> Run:
        """The run whose certificates speak for a task of this one: its own, or, where it took no
        traces, those of a run of the same commit, versions, texts and weights."""
        if run.certificates or any(m.job.question == "equivalence" for m in run.measurements):
            return run
        return next((other for other in self.runs if _same_work(run, other, task)), run)

    def proof_for(self, rows: Sequence[Row]) -> str:
        """The same of one comparison."""
        return self.proof_of(
            (t.run, t.measurement)
            for row in rows
            for groups in row.groups.values()
            for g in groups
            for t in g.taken
        )

    @property
    def proof(self) -> str:
        """The same of all that is compared or was traced."""
        return self.proof_of(
            [
                *((t.run, t.measurement) for run in self.runs for t in _compared(run)),
                *(
                    (run.name, m)
                    for run in self.runs
                    for m in run.measurements
                    if m.job.question == "equivalence"
                ),
            ]
        )

    def _named(self, run: str, task: str) -> str:
        return f"{task} ({run})" if self.several_runs else task

    def title(self, backend: str) -> str:
        return self.titles.get(backend, backend)

    def colour(self, backend: str) -> int:
        """The same for a backend in every plot and table of the report."""
        return self.backends.index(backend)

    def head(self, comparison: Comparison) -> str:
        """'imdb, length 512 (run a)': what a sentence or a plot is about."""
        varied = f", {comparison.varied_text}" if comparison.varied else ""
        run = f" ({comparison.run})" if self.several_runs else ""
        return f"{comparison.task}{varied}{run}"

    def key_columns(self) -> list[Column]:
        """The columns that say whose row it is."""
        return [*self.comparison_columns(), Column("backend", numeric=False)]

    def comparison_columns(self) -> list[Column]:
        names = ["run"] * self.several_runs + ["task"] + ["recipe"] * self.varied
        return [Column(name, numeric=False) for name in names]

    def comparison_cells(self, comparison: Comparison) -> list[Cell]:
        cells = [Cell(comparison.run)] * self.several_runs + [Cell(comparison.task)]
        return cells + [Cell(comparison.varied_text)] * self.varied

    def key_cells(self, row: Row) -> list[Cell]:
        backend = Cell(self.title(row.backend), colour=self.colour(row.backend))
        return [*self.comparison_cells(row.comparison), backend]


def _compared(run: Run) -> list[Taken]:
    """What is not told elsewhere: traces are laid beside each other by certificates, batch limits
    by grids, and a tuning, and what a study changes beside its plain recipe, by their own
    sections."""
    if run.tuning:
        return []
    return [
        t
        for t in run.taken
        if t.measurement.job.question not in ("equivalence", "batch_limit")
        and t.measurement.job.change in (None, PLAIN)
    ]


def _same_work(run: Run, other: Run, task: str) -> bool:
    """Whether what another run's certificates prove of a task holds for this run too."""
    commits = {one.info and one.info.commit for one in (run, other)}
    if len(commits) > 1 or None in commits:
        return False
    proven = {
        side.backend for c in other.certificates if c.task == task for side in (c.first, c.second)
    }
    works: dict[str, list[tuple[Any, ...]]] = {}
    for m in (*run.measurements, *other.measurements):
        if m.job.task == task and m.job.backend in proven:
            works.setdefault(m.job.backend, []).append((m.data, m.checkpoint, m.versions))
    return bool(works) and all(work == same[0] for same in works.values() for work in same)


def _grids(runs: Sequence[Run]) -> list[Grid]:
    """Of all runs together: a limit and its prediction may come from different ones."""
    return grids(
        [limit for run in runs for limit in limits_of(run.name, run.measurements)],
        [prediction for run in runs for prediction in run.predictions],
        [
            m
            for run in runs
            for m in run.measurements
            if m.job.question == "batch_limit" and not m.batch_limit
        ],
    )
