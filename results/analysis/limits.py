"""What fits where. Pure functions.

A *grid* holds the largest batches of one work (task, checkpoint, precision, phase and the settings
that count for memory): places across, sequence lengths and backends down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from results.analysis.statistics import median
from results.schema import (
    BatchLimit,
    Finder,
    Measurement,
    Phase,
    PredictedLimit,
    Prediction,
)

# Recipe fields that count for memory, with their usual values.
SETTINGS: dict[str, Any] = {
    "accumulation": 1,
    "attention": None,
    "compile": False,
    "dropout": None,
    "gradient_checkpointing": False,
    "optimizer": "adamw",
}
OF_TRAINING = {"accumulation", "dropout", "gradient_checkpointing", "optimizer"}

Kind = Literal["measured", "emulated", "predicted"]
Answer = Literal["right", "too low", "too high", "none", "unknown"]


@dataclass(frozen=True, order=True)
class GridKey:
    """What the limits of one grid have in common."""

    task: str  # '': any, as a prediction has none
    checkpoint: str
    phase: Phase
    precision: str
    setting: str  # 'accumulation 4'

    @property
    def text(self) -> str:
        """'imdb, minilm, fp32, training'."""
        words = (self.task, self.checkpoint, self.precision, self.phase, self.setting)
        return ", ".join(word for word in words if word)

    @property
    def is_trained(self) -> bool:
        """Whether its checkpoint has trained weights; limits of others are for studies."""
        return not self.checkpoint.startswith("random:")


@dataclass(frozen=True)
class Place:
    """Where a batch has to fit."""

    device: Literal["cpu", "gpu"]
    name: str  # '6GiB', 'T4', or '' for the whole machine

    @property
    def is_type(self) -> bool:
        """Whether it is a device by name, and not an amount of memory."""
        return not self.name[:1].isdigit()


@dataclass(frozen=True)
class Limit:
    """One search, with its measurement."""

    run: str
    measurement: Measurement
    found: BatchLimit

    @property
    def kind(self) -> Kind:
        return "emulated" if self.found.emulated else "measured"

    @property
    def place(self) -> Place:
        device = self.measurement.device
        if self.found.budget != "device":
            return Place(device.kind, self.found.budget)
        return Place(device.kind, (device.gpu_type or device.name) if device.kind == "gpu" else "")

    @property
    def work(self) -> GridKey:
        m = self.measurement
        return _work(
            m.job.task, m.checkpoint.name if m.checkpoint else "", self.found.phase, m.recipe
        )

    @property
    def row(self) -> tuple[int, str]:
        return _length(self.measurement.recipe), self.measurement.job.backend

    @property
    def step(self) -> int | None:
        """How closely it is proven: by how many examples the failed batch is larger."""
        limit, fails_at = self.found.limit, self.found.fails_at
        return None if limit is None or fails_at is None else fails_at - limit

    def judge(self, finder: Finder) -> Answer:
        """Another finder's answer against the proof: right from the batch that trained up to the
        one that failed; where none did, nothing is known above the largest that was asked for."""
        if finder.answer is None or self.found.limit is None:
            return "none"
        if finder.answer < self.found.limit:
            return "too low"
        fails_at = self.found.fails_at
        if fails_at is None:
            return "right" if finder.answer == self.found.limit else "unknown"
        return "right" if finder.answer < fails_at else "too high"


@dataclass(frozen=True)
class Spot:
    """One cell: what was found there, and what was predicted."""

    limits: tuple[Limit, ...] = ()  # several where it was searched for more than once
    predicted: PredictedLimit | None = None
    assumed: bool = False  # no measured case stands behind the prediction's range

    @property
    def kind(self) -> Kind:
        """Of the strongest thing that is known."""
        if not self.limits:
            return "predicted"
        return "measured" if any(limit.kind == "measured" for limit in self.limits) else "emulated"


@dataclass
class Grid:
    work: GridKey
    spots: dict[tuple[int, str, Place], Spot] = field(default_factory=dict)
    reasons: dict[tuple[int, str], str] = field(default_factory=dict)  # of rows without a search

    @property
    def rows(self) -> list[tuple[int, str]]:
        """(length, backend), so that the backends of a length stand together."""
        return sorted({(length, backend) for length, backend, _ in self.spots} | set(self.reasons))

    @property
    def places(self) -> list[Place]:
        """Processors first, then by memory."""
        size: dict[Place, int] = {}
        for (_, _, place), spot in self.spots.items():
            sizes = [limit.found.budget_bytes for limit in spot.limits]
            sizes += [spot.predicted.budget_bytes] if spot.predicted else []
            size[place] = max(size.get(place, 0), *sizes)
        return sorted(size, key=lambda p: (p.device, size[p], p.name))

    @property
    def limits(self) -> list[Limit]:
        order = {place: i for i, place in enumerate(self.places)}
        keys = sorted(self.spots, key=lambda k: (k[0], k[1], order[k[2]]))
        return [limit for key in keys for limit in self.spots[key].limits]


def limits_of(run: str, measurements: Iterable[Measurement]) -> list[Limit]:
    return [Limit(run, m, m.batch_limit) for m in measurements if m.batch_limit]


def grids(
    limits: Sequence[Limit],
    predictions: Sequence[Prediction] = (),
    without: Sequence[Measurement] = (),
) -> list[Grid]:
    """One grid per work, what was searched for first, and trained checkpoints first of all. A
    prediction has no task: it joins every grid of its checkpoint, precision, phase and settings, or
    makes one of its own. `without` are jobs that ended before their search began."""
    found: dict[GridKey, Grid] = {}
    for limit in limits:
        grid = found.setdefault(limit.work, Grid(limit.work))
        spot = grid.spots.get((*limit.row, limit.place), Spot())
        grid.spots[(*limit.row, limit.place)] = Spot((*spot.limits, limit))
    own: dict[GridKey, Grid] = {}
    for prediction in (p for p in predictions if p.limits):
        work = work_of(prediction)
        same = [g for w, g in found.items() if _taskless(w) == work]
        for grid in same or [own.setdefault(work, Grid(work))]:
            _add_prediction(grid, prediction)
    for m in without:
        for grid in found.values():
            row = (_length(m.recipe), m.job.backend)
            if _belongs_to(m, grid.work) and not any(key[:2] == row for key in grid.spots):
                grid.reasons[row] = m.status
    order = {"training": 0, "evaluation": 1}
    return [
        g
        for part in (found, own)
        for _, g in sorted(
            part.items(),
            key=lambda item: (
                not item[0].is_trained,
                item[0].task,
                item[0].checkpoint,
                order[item[0].phase],
                item[0].precision,
                item[0].setting,
            ),
        )
    ]


def work_of(prediction: Prediction) -> GridKey:
    return _work("", prediction.checkpoint, prediction.phase, prediction.recipe)


def length_of(prediction: Prediction) -> int:
    return _length(prediction.recipe)


def place_of(prediction: Prediction, limit: PredictedLimit) -> Place:
    return Place(prediction.device, limit.target)


def _add_prediction(grid: Grid, prediction: Prediction) -> None:
    """The first one counts where a limit was predicted twice."""
    for limit in prediction.limits:
        key = (length_of(prediction), prediction.backend, place_of(prediction, limit))
        spot = grid.spots.get(key, Spot())
        if spot.predicted is None:
            grid.spots[key] = Spot(spot.limits, limit, prediction.assumed)


def _work(task: str, checkpoint: str, phase: Phase, recipe: Mapping[str, Any]) -> GridKey:
    return GridKey(
        task, checkpoint, phase, str(recipe.get("precision", "")), setting(phase, recipe)
    )


def setting(phase: Phase, recipe: Mapping[str, Any]) -> str:
    """'accumulation 4, gradient checkpointing'; empty where all is as usual."""
    unusual = {
        name: recipe[name]
        for name, usual in SETTINGS.items()
        if recipe.get(name, usual) != usual and not (phase == "evaluation" and name in OF_TRAINING)
    }
    return ", ".join(
        name.replace("_", " ") + ("" if value is True else f" {value}")
        for name, value in unusual.items()
    )


def _taskless(work: GridKey) -> GridKey:
    return GridKey("", work.checkpoint, work.phase, work.precision, work.setting)


def _belongs_to(m: Measurement, work: GridKey) -> bool:
    """Whether a job without a search belongs to a grid, as far as it can tell: it may have ended
    before its checkpoint was known."""
    asked = _work(
        m.job.task, m.checkpoint.name if m.checkpoint else work.checkpoint, work.phase, m.recipe
    )
    return asked == work


def _length(recipe: Mapping[str, Any]) -> int:
    """Tokens; 0 where a damaged recipe does not say."""
    length = recipe.get("length")
    return length if isinstance(length, int) else 0


@dataclass(frozen=True)
class FinderSummary:
    """One finder over all searches that it took part in."""

    name: str
    searches: int
    answers: dict[Answer, int]
    median_probes: float
    seconds: float  # in all
    our_median_probes: float  # in the same searches
    our_seconds: float


def finder_summaries(limits: Sequence[Limit]) -> list[FinderSummary]:
    names = dict.fromkeys(f.name for limit in limits for f in limit.found.finders)
    found = []
    for name in names:
        pairs = [(limit, f) for limit in limits for f in limit.found.finders if f.name == name]
        judged = [limit.judge(f) for limit, f in pairs]
        kinds: tuple[Answer, ...] = ("right", "too low", "too high", "none", "unknown")
        found.append(
            FinderSummary(
                name,
                len(pairs),
                {kind: judged.count(kind) for kind in kinds},
                median([f.probes for _, f in pairs]),
                sum(f.seconds for _, f in pairs),
                median([len(limit.found.probes) for limit, _ in pairs]),
                sum(limit.found.seconds for limit, _ in pairs),
            )
        )
    return found
