"""The overview table: one row per task and backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from results.analysis.accuracy.scores import ScoreRow
from results.analysis.compare import Row, peers
from results.analysis.memory import MEMORY_FIGURES, headline_memory
from results.analysis.speed import Rate
from results.analysis.statistics import Interval
from results.analysis.verdict import judge
from results.report.columns import key_cells, key_columns
from results.report.document import Cell, Column, Table, Tone
from results.report.format import count, decimals, gap, gibibytes, number, percent, span
from results.report.view import View
from results.schema import Measurement

MEMORY_TITLES = dict(
    zip(
        MEMORY_FIGURES,
        (
            "allocated peak",
            "reserved peak",
            "device peak",
            "process peak",
            "before building the model",
            "allocator retries",
            "out-of-memory events",
        ),
        strict=True,
    )
)


def overview(view: View, *, short: bool = False) -> Table:
    """`short`: intervals as ±, for the terminal."""
    figures = {memory_figure(rows) for rows in view.comparisons}
    memory = MEMORY_TITLES[figures.pop()] if len(figures) == 1 else "peak memory"
    metrics = metric_names([row for rows in view.comparisons for row in rows])
    columns = [
        *key_columns(view),
        Column("training", "steps/s"),
        Column("training", "samples/s"),
        Column("first step", "s"),
        Column(memory, "GiB"),
        Column("accuracy", "%"),
        *map(Column, metrics),
        Column("model", "M parameters"),
    ]
    rows = [_cells(view, row, rows, short, metrics) for rows in view.comparisons for row in rows]
    return Table(columns, rows)


def metric_names(rows: Sequence[Row]) -> list[str]:
    """The metrics that were asked for besides those that every score has."""
    scores = [s for row in rows for s in row.scores]
    return list(dict.fromkeys(name for s in scores for name in s.metrics))


def _cells(
    view: View, row: Row, rows: Sequence[Row], short: bool, metrics: Sequence[str]
) -> list[Cell]:
    figure, rivals = memory_figure(rows), peers(row, rows)
    peak = row.memory and row.memory.figures[figure]
    if peak:
        named = len({memory_figure(rows) for rows in view.comparisons}) > 1
        memory = Cell(
            gibibytes(peak),
            MEMORY_TITLES[figure] if named else "",
            best(peak, [r.memory.figures[figure] for r in rivals if r.memory], min),
        )
    else:
        memory = gap(row.memory.gaps.get(figure) if row.memory else row.status("memory"))
    size = row.model_size
    model = Cell(number(size / 1e6)) if size else gap("not_run")
    return [
        *key_cells(view, row),
        *_speed_cells(row, rivals, short),
        memory,
        _accuracy_cell(row, short),
        *(_metric_cell(row, name) for name in metrics),
        model,
    ]


def _speed_cells(row: Row, rivals: Sequence[Row], short: bool) -> list[Cell]:
    if row.speed is None:
        return [speed_gap(row)] * 3
    rate, tone = row.speed.training, speed_tone(row, rivals)
    return [
        rate_cell(row, tone, short),
        Cell(number(rate.samples_per_second), tone=tone),
        Cell(number(row.speed.first_step_seconds)),
    ]


def speed_tone(row: Row, rivals: Sequence[Row]) -> Tone:
    """'best' where the row is shown to be the fastest."""
    verdict = judge([r.speed for r in rivals if r.speed])
    return "best" if verdict.winner == row.backend else ""


def rate_cell(row: Row, tone: Tone = "", short: bool = False) -> Cell:
    """Steps/s with their interval and what makes them doubtful."""
    if row.speed is None:
        return speed_gap(row)
    rate = row.speed.training
    return Cell(number(rate.steps_per_second), ", ".join(rate_notes(rate, short)), tone)


def speed_gap(row: Row) -> Cell:
    """Why a row has no training speed; a job that is ok may have been asked for evaluation alone."""
    status = row.status("throughput")
    return gap("not_run" if status == "ok" else status)


def rate_notes(rate: Rate, short: bool = False) -> list[str]:
    """The interval of a rate's steps/s, and what makes it doubtful."""
    if rate.interval is None:
        return [no_interval(rate.launches, rate.rounds), *rate_doubts(rate)]
    places = decimals(rate.steps_per_second)
    notes = [
        half_width(rate.interval, rate.steps_per_second, places)
        if short
        else span(rate.interval, places)
    ]
    return [*notes, *(["one launch"] if rate.launches == 1 else []), *rate_doubts(rate)]


def rate_doubts(rate: Rate) -> list[str]:
    marks = {"noisy": rate.noisy, "disturbed": rate.disturbed, "short windows": rate.short}
    return [word for word, applies in marks.items() if applies]


def no_interval(launches: int, rounds: int) -> str:
    if launches > 1:
        return f"{count(launches)} launches: no interval"
    return f"one launch, {count(rounds)} {'rounds' if rounds > 1 else 'round'}: no interval"


def half_width(interval: Interval, value: float, places: int) -> str:
    """'± 0.02': as far as the farther end of the interval."""
    return f"\u00b1 {max(interval.high - value, value - interval.low):,.{places}f}"


def _accuracy_cell(row: Row, short: bool) -> Cell:
    if not row.scores:
        return gap(row.status("accuracy"))
    texts = [percent(s.accuracy, accuracy_places(s)) for s in row.scores]
    if len(texts) == 1:
        score = row.scores[0]
        points = Interval(100 * score.accuracy_interval.low, 100 * score.accuracy_interval.high)
        note = half_width(points, 100 * score.accuracy, 1) if short else span_percent(score)
        return Cell(texts[0], note)
    return Cell(" / ".join(texts), " / ".join(s.evaluation_set for s in row.scores))


def _metric_cell(row: Row, name: str) -> Cell:
    """Of every evaluation set, in the order of the accuracies; means over seeds."""
    found = [s.metrics[name].value for s in row.scores if name in s.metrics]
    if len(found) < max(1, len(row.scores)):
        return gap(row.status("accuracy") if not row.scores else "not_asked")
    return Cell(" / ".join(f"{value:.3f}" for value in found))


def span_percent(score: ScoreRow) -> str:
    interval = score.accuracy_interval
    return f"{percent(interval.low)} to {percent(interval.high)}"


def accuracy_places(score: ScoreRow) -> int:
    """As many decimals as the size of the evaluation set supports."""
    return 2 if score.examples >= 1000 else 1


def best(
    value: float, values: Sequence[float | None], pick: Callable[[Sequence[float]], float]
) -> Tone:
    """'best' where it is the best of several."""
    known = [v for v in values if v is not None]
    return "best" if len(set(known)) > 1 and value == pick(known) else ""


def memory_figure(rows: Sequence[Row]) -> str:
    return headline_memory([r.memory for r in rows if r.memory], a_measurement(rows).device.kind)


def a_measurement(rows: Sequence[Row]) -> Measurement:
    """The first that is ok, else any: for what all rows of a comparison share."""
    every = [
        m
        for row in rows
        for same in row.groups.values()
        for g in same
        for m in (entry.measurement for entry in g.entries)
    ]
    return next((m for m in every if m.status == "ok"), every[0])
