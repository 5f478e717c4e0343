"""What is reported: the runs, their rows, and how backends and comparisons are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from results.analysis.compare import Row, compare
from results.analysis.controls import (
    NoisePair,
    Overhead,
    noise_pairs,
    overheads,
)
from results.analysis.cost import Price
from results.analysis.groups import Comparison, Entry
from results.analysis.limits import Grid, Limit, grids, limits_of
from results.analysis.over_runs.merge import Merged, Origin, merge
from results.schema import (
    PLAIN,
    Certificate,
    Device,
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
    cases: Sequence[PredictionCase] = ()  # predictions compared with measurements
    tuning: Tuning | None = None
    of_earlier_version: bool = False  # its files were converted when they were read

    @property
    def origin(self) -> Origin:
        """The machine and the start; a run without its info has them from its first measurement."""
        first = self.measurements[0] if self.measurements else None
        device = self.info.device if self.info else first.device if first else None
        started_at = self.info.started_at if self.info else first.started_at if first else ""
        return Origin(machine_name(device) if device else "unknown machine", started_at)

    @property
    def entries(self) -> list[Entry]:
        return [Entry(self.name, m, self.folder) for m in self.measurements]


@dataclass(frozen=True)
class View:
    """All that the sections show, and look-ups in it, most of a line or two."""

    runs: Sequence[Run]
    titles: Mapping[str, str]  # of backends; a backend without one goes by its name
    comparisons: Sequence[list[Row]]
    overheads: Sequence[Overhead] = ()
    noise_pairs: Sequence[NoisePair] = ()
    grids: Sequence[Grid] = ()  # what fits where
    predictions: Sequence[Prediction] = ()
    cases: Sequence[PredictionCase] = ()
    tunings: Sequence[Tuning] = ()
    merged: Sequence[Merged] = ()  # what each of the comparisons was merged from
    prices: Mapping[str, Price] = field(default_factory=dict)  # per hour, by machine
    machines: int = 0  # how many the runs were merged by; 0: they stand side by side

    @classmethod
    def merged_by_machine(cls, runs: Sequence[Run], titles: Mapping[str, str]) -> View:
        """Runs of one machine as one: every question is answered by the run that did it best."""
        view = cls.of(runs, titles)
        origins = {run.name: run.origin for run in runs}
        merged = merge(view.comparisons, origins)
        return replace(
            view,
            comparisons=[one.rows for one in merged],
            merged=merged,
            machines=len({origin.machine for origin in origins.values()}),
        )

    def info(self, run: str) -> RunInfo | None:
        """What a run's file says about it; None for a run without this file."""
        return next((one.info for one in self.runs if one.name == run), None)

    @classmethod
    def of(cls, runs: Sequence[Run], titles: Mapping[str, str]) -> View:
        entries = [entry for run in runs for entry in compared_entries(run)]
        return cls(
            runs,
            titles,
            compare(entries),
            overheads(entries),
            noise_pairs(entries),
            _grids(runs),
            [prediction for run in runs for prediction in run.predictions],
            [case for run in runs for case in run.cases],
            [run.tuning for run in runs if run.tuning],
        )

    @property
    def several_runs(self) -> bool:
        return (self.machines or len(self.runs)) > 1

    @property
    def origin_word(self) -> str:
        """What tables call that which they distinguish."""
        return "machine" if self.machines else "run"

    def origin_name(self, run: str) -> str:
        """A run's name, or its machine where runs are merged; comparisons that are merged go by it."""
        if not self.machines:
            return run
        return next((one.origin.machine for one in self.runs if one.name == run), run)

    @property
    def backends(self) -> list[str]:
        measured = {m.job.backend for run in self.runs for m in run.measurements}
        predicted = {p.backend for p in self.predictions} | {c.backend for c in self.cases}
        return sorted(measured | predicted)

    @property
    def entries(self) -> list[Entry]:
        return [entry for run in self.runs for entry in run.entries]

    @property
    def limits(self) -> list[Limit]:
        return [limit for grid in self.grids for limit in grid.limits]

    def title(self, backend: str) -> str:
        return self.titles.get(backend, backend)

    def colour(self, backend: str) -> int:
        """A backend's colour, the same in every plot and table of the report."""
        return self.backends.index(backend)

    def head(self, comparison: Comparison) -> str:
        """'imdb, length 512 (run a)': the subject of a sentence or a plot."""
        varied = f", {comparison.varied_text}" if comparison.varied else ""
        run = f" ({self.origin_name(comparison.run)})" if self.several_runs else ""
        return f"{comparison.task}{varied}{run}"


def machine_name(device: Device) -> str:
    """'Intel(R) Xeon(R) Processor, 2 cores'; a GPU by its name alone."""
    return device.name if device.kind == "gpu" else f"{device.name}, {device.cores} cores"


def compared_entries(run: Run) -> list[Entry]:
    """What the report's rows compare. Traces are compared by certificates, batch limits by grids,
    and the races of a tuning and of named changes in their own sections."""
    if run.tuning:
        return []
    return [
        entry
        for entry in run.entries
        if entry.measurement.job.question not in ("equivalence", "batch_limit")
        and entry.measurement.job.change in (None, PLAIN)
    ]


def _grids(runs: Sequence[Run]) -> list[Grid]:
    """Of all runs together: a limit and its prediction may come from different runs."""
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
