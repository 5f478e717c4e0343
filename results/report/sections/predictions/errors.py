"""Errors of predictions: the goals, a table of errors, plots, and every case."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.predictions import (
    BROKEN_GOAL,
    MEDIAN_GOAL,
    WITHIN_STEP_GOAL,
    WORST_GOAL,
    Errors,
    Share,
    error_of,
    errors,
)
from results.report.charts import Level, Point, Shape, lines
from results.report.columns import backend_cell
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Figure,
    Figures,
    Legend,
    Paragraph,
    Table,
)
from results.report.format import GIB, count, gap, percent
from results.report.sections.predictions.cases import case_table, signed_percent
from results.report.view import View
from results.schema import PredictionCase

KINDS = ("measured here", "published", "fitted to")  # each has errors of its own
OTHER = "published under other conditions"
SHAPES: dict[str, Shape] = {"measured here": "dot", "published": "square", "fitted to": "ring"}
UNITS = {"bytes": "peak", "examples": "limit"}


def kind_of(case: PredictionCase) -> str:
    if case.fitted:
        return "fitted to"
    if case.conditions:
        return OTHER
    return "measured here" if case.source == "measured" else "published"


FEW = 12  # rows of a table that is not folded


def verdict(cases: Sequence[PredictionCase]) -> list[Block]:
    """The errors in one or two sentences; empty where nothing was measured that the prediction was not
    fitted to."""
    judged = [c for c in cases if kind_of(c) == "measured here"]
    peak = errors([c for c in judged if c.unit == "bytes"])
    limit = errors([c for c in judged if c.unit == "examples"])
    parts = [*_peak_results(peak), *_limit_results(limit)]
    if not parts:
        return []
    trained = {c.device for c in judged if c.unit == "examples"}
    unchecked = "" if "gpu" in trained else " No predicted limit was checked by training on a GPU."
    return [Paragraph(f"{'; '.join(parts)}.{unchecked}", "lead", "How far off")]


def error_blocks(view: View, cases: Sequence[PredictionCase]) -> list[Block]:
    by_kind = {kind: [c for c in cases if kind_of(c) == kind] for kind in KINDS}
    blocks: list[Block] = [
        *_figures(view, cases),
        _goals(by_kind["measured here"]),
        _error_table(view, by_kind),
        Paragraph(
            "A case is one recipe with one batch size or budget, however often it was measured. "
            "Predicted limits and the ends of their ranges are rounded down to sizes that the search "
            "tries. The lower end of the range is the promise: it is broken if that size failed, "
            "and its median distance below the size that fitted is its cost. A prediction between the "
            "size that fitted and the size that failed is undecided. Where nothing failed, the size "
            "that fitted is a lower bound. Cases that the prediction was fitted to are counted "
            "separately. `ftbench predict --check RUN ...` makes these tables.",
            "small",
        ),
    ]
    published = by_kind["published"] + [c for c in cases if kind_of(c) == OTHER]
    title = "Compared with published figures"
    if len(published) > FEW:
        blocks.append(Details(title, [case_table(view, published)]))
    elif published:
        blocks.append(case_table(view, published, title))
    folded = {
        "Every case that was measured here": by_kind["measured here"],
        "The cases that the prediction was fitted to": by_kind["fitted to"],
    }
    return blocks + [
        Details(title, [case_table(view, some)]) for title, some in folded.items() if some
    ]


def _goals(cases: Sequence[PredictionCase]) -> Paragraph:
    """How many cases were measured here and not fitted to."""
    if not cases:
        return Paragraph(
            "Every case that was measured here is one that the prediction was fitted to.", "warning"
        )
    kinds = (
        _number_of(len({c.backend for c in cases}), "backend"),
        _number_of(len({c.architecture for c in cases}), "architecture"),
        _number_of(len({c.length for c in cases}), "length"),
        _number_of(len({c.precision for c in cases}), "precision"),
    )
    return Paragraph(
        f"on {_number_of(len(cases), 'case')} that the prediction was not fitted to "
        f"({', '.join(kinds)}).",
        head="Judged",
    )


def _peak_results(peak: Errors) -> list[str]:
    if peak.median is None or peak.worst is None:
        return []
    return [
        f"the predicted peak was {percent(peak.median)} % off in the median of "
        f"{_number_of(peak.cases, 'measured case')} ({_goal(peak.median, MEDIAN_GOAL)}) and "
        f"{signed_percent(peak.worst)} % at worst ({_goal(abs(peak.worst), WORST_GOAL)})",
    ]


def _limit_results(limit: Errors) -> list[str]:
    results = []
    if limit.within_step:
        goal = _goal(limit.within_step.value, WITHIN_STEP_GOAL, above=True)
        worst = "" if limit.worst is None else f", the worst {signed_percent(limit.worst)} % off"
        results.append(
            f"{_share(limit.within_step)} predicted limits were within one step of the search ({goal})"
            f"{worst}"
        )
    if limit.broken:
        goal = _goal(limit.broken.value, BROKEN_GOAL)
        results.append(f"{_share(limit.broken)} batches promised to fit failed ({goal})")
    return results


def _error_table(view: View, by_kind: dict[str, list[PredictionCase]]) -> Table:
    columns = [
        Column("cases", numeric=False, group=True),
        Column("of", numeric=False, group=True),
        Column("backend", numeric=False),
        Column("cases"),
        Column("median", "absolute, %"),
        Column("worst", "signed, %"),
        Column("bias", "median, %"),
        Column("within a step", "of the search"),
        Column("in range"),
        Column("promise broken", "lower end failed"),
        Column("lower end", "% below what fitted"),
    ]
    rows = []
    for kind, cases in by_kind.items():
        for unit, what in UNITS.items():
            some = [c for c in cases if c.unit == unit]
            sides = sorted({(c.backend, c.device) for c in some})
            if len(sides) > 1:
                rows.append([Cell(kind), Cell(what), Cell("all"), *_error_cells(errors(some))])
            for backend, device in sides:
                of_side = [c for c in some if (c.backend, c.device) == (backend, device)]
                side = backend_cell(view, backend, f"on a {device.upper()}")
                rows.append([Cell(kind), Cell(what), side, *_error_cells(errors(of_side))])
    return Table(columns, rows, "Signed error: predicted minus measured, as a share of measured")


def _error_cells(e: Errors) -> list[Cell]:
    worst = "" if e.worst_steps is None else f", worst {e.worst_steps:+}"
    return [
        Cell(count(e.cases), f"{count(e.undecided)} undecided" if e.undecided else ""),
        gap("none") if e.median is None else Cell(percent(e.median)),
        *[gap("none") if v is None else Cell(signed_percent(v)) for v in (e.worst, e.lean)],
        _share_cell(e.within_step, worst),
        _share_cell(e.inside),
        _share_cell(e.broken),
        Cell("" if e.cost is None else percent(e.cost)),
    ]


def _share_cell(share: Share | None, more: str = "") -> Cell:
    if share is None:
        return Cell("")
    return Cell(f"{percent(share.value)} %", f"{count(share.part)} of {count(share.whole)}{more}")


def _figures(view: View, cases: Sequence[PredictionCase]) -> list[Block]:
    """One plot per unit and backend; each kind of case has its own mark."""
    blocks: list[Block] = []
    for unit, what in UNITS.items():
        figures = []
        for backend in sorted({c.backend for c in cases if c.unit == unit}):
            some = [
                (c, error)
                for c in cases
                if (c.unit, c.backend) == (unit, backend)
                and kind_of(c) != OTHER
                and (error := error_of(c)) is not None
            ]
            figures += [_figure(view, what, backend, some)] if some else []
        blocks += [Figures(figures, small=True)] if figures else []
    return blocks


def _figure(
    view: View, what: str, backend: str, some: Sequence[tuple[PredictionCase, float]]
) -> Figure:
    scale, axis = (GIB, "measured, GiB") if what == "peak" else (1, "measured batch")
    colour = view.colour(backend)
    points = [
        Point(c.measured / scale, 100 * error, colour, SHAPES[kind_of(c)], kind_of(c))
        for c, error in some
    ]
    levels, error_axis = [Level(0, "")], "signed error, %"
    if what == "peak":  # the axis says it: a label would lie among the points
        levels += [Level(100 * end, "") for end in (WORST_GOAL, -WORST_GOAL)]
        error_axis += f"; goal \u00b1{percent(WORST_GOAL)}"
    kinds = [kind for kind in KINDS if any(kind_of(c) == kind for c, _ in some)]
    signed = [error for _, error in some]
    return Figure(
        f"Error of the predicted {what}: {view.title(backend)}",
        lines([], axis, error_axis, points=points, levels=levels),
        f"{_number_of(len(some), 'case')}, from {signed_percent(min(signed))} % to "
        f"{signed_percent(max(signed))} %",
        [Legend(kind, colour, SHAPES[kind]) for kind in kinds],
    )


def _share(share: Share) -> str:
    return f"{count(share.part)} of {count(share.whole)}"


def _goal(value: float, goal: float, *, above: bool = False) -> str:
    met = value >= goal if above else value <= goal
    bound = "at least" if above else "at most"
    return f"goal {bound} {percent(goal)} %: {'met' if met else 'missed'}"


def _number_of(n: int, word: str) -> str:
    return f"{count(n)} {word}" if n == 1 else f"{count(n)} {word}s"
