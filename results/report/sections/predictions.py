"""How far can predictions be trusted? What was predicted, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.limits import length_of, place_of, work_of
from results.analysis.predictions import (
    BROKEN_GOAL,
    MEDIAN_GOAL,
    WITHIN_STEP_GOAL,
    WORST_GOAL,
    Errors,
    Share,
    error_of,
    errors,
    judged,
)
from results.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Facts,
    Figure,
    Figures,
    Legend,
    Listing,
    Paragraph,
    Section,
    Table,
)
from results.report.format import GIB, count, gap, gibibytes, number, percent
from results.report.provenance import commands, unique
from results.report.sections.limits import where
from results.report.view import View
from results.report.writers.plots import Level, Point, Shape, key, lines
from results.schema import Prediction, PredictionCase

KINDS = ("measured here", "published", "fitted to")  # that errors are taken of
OTHER = "published under other conditions"
SHAPES: dict[str, Shape] = {"measured here": "dot", "published": "square", "fitted to": "ring"}
UNITS = {"bytes": "peak", "examples": "limit"}


def section(view: View) -> Section | None:
    predictions, cases = view.predictions, view.cases
    if not predictions and not cases:
        return None
    blocks: list[Block] = []
    if cases:
        blocks += _account(view, cases)
    if predictions:
        blocks += [
            *_sentences(view, [p for p in predictions if p.limits]),
            _peaks(view, predictions),
        ]
    return Section("How far can predictions be trusted?", "predictions", [*blocks, *_labels(view)])


def sentence(view: View, prediction: Prediction) -> str:
    """'bert-base, fp32, training, length 512, PyTorch: about 21 on a T4 (19 to 23), ...'."""
    assumed = "assumed " * prediction.assumed
    said = [
        f"{count(limit.limit)} {where(place_of(prediction, limit))} "
        f"({assumed}{count(limit.low)} to {count(limit.high)})"
        for limit in prediction.limits
    ]
    head = f"{work_of(prediction).text}, length {length_of(prediction)}"
    return f"{head}, {view.title(prediction.backend)}: about {', '.join(said)}"


def kind_of(case: PredictionCase) -> str:
    if case.fitted:
        return "fitted to"
    if case.conditions:
        return OTHER
    return "measured here" if case.source == "measured" else "published"


def _sentences(view: View, predictions: Sequence[Prediction]) -> list[Block]:
    """The longest lengths in sight, the others folded away."""
    if not predictions:
        return []
    longest = max(map(length_of, predictions))
    shown = unique(sentence(view, p) for p in predictions if length_of(p) == longest)
    folded = unique(sentence(view, p) for p in predictions if length_of(p) != longest)
    blocks: list[Block] = [
        Paragraph(f"Predicted limits, with {_ranges(predictions)}:"),
        Listing(shown),
    ]
    blocks += [Details("The other lengths", [Listing(folded)])] * bool(folded)
    left_out = unique(f"{name} ({why})" for p in predictions for name, why in p.left_out.items())
    return blocks + [Paragraph(f"Left out: {'; '.join(left_out)}.", "small")] * bool(left_out)


def _ranges(predictions: Sequence[Prediction]) -> str:
    """What stands in parentheses; 'assumed' is said in each that is."""
    if all(p.assumed for p in predictions):
        return "a range that no measured case stands behind"
    return "their 95 % intervals" + (
        ", or a range that no measured case stands behind"
        if any(p.assumed for p in predictions)
        else ""
    )


def _peaks(view: View, predictions: Sequence[Prediction]) -> Details:
    parts = unique(name for p in predictions for name in p.parts)
    columns = [
        Column("work", numeric=False),
        Column("backend", numeric=False),
        Column("on", numeric=False),
        Column("length", "tokens"),
        Column("batch"),
        Column("predicted peak", "GiB"),
        *[Column(name, "GiB") for name in parts],
    ]
    return Details(
        "Predicted peaks and what they are made of",
        [
            Table(
                columns,
                [
                    [
                        Cell(work_of(p).text),
                        _who(view, p.backend),
                        Cell(p.device.upper()),
                        Cell(count(length_of(p))),
                        Cell(str(p.recipe.get("batch_size", ""))),
                        Cell(
                            gibibytes(p.peak_bytes),
                            "assumed " * p.assumed
                            + f"{gibibytes(p.peak_low_bytes)} to {gibibytes(p.peak_high_bytes)}",
                            "predicted",
                        ),
                        *[
                            Cell(gibibytes(p.parts[name])) if name in p.parts else gap("none")
                            for name in parts
                        ],
                    ]
                    for p in predictions
                ],
            )
        ],
    )


def _account(view: View, cases: Sequence[PredictionCase]) -> list[Block]:
    by_kind = {kind: [c for c in cases if kind_of(c) == kind] for kind in KINDS}
    blocks: list[Block] = [
        _verdict(by_kind["measured here"]),
        _error_table(view, by_kind),
        Paragraph(
            "A work and a batch size, or a budget, are one case, however often they were measured. "
            "A predicted limit and the ends of its range are rounded down to sizes that the search "
            "tries. What is promised is the lower end: it is broken where that size failed, and "
            "its cost is how far it lies below what fitted. Between what fitted and what failed "
            "nothing is known, and a limit is undecided. Where nothing failed, what fitted is a "
            "lower bound. Cases that the prediction was fitted to stand apart. `ftbench predict "
            "--check` over the runs makes these tables.",
            "small",
        ),
        *_figures(view, cases),
    ]
    published = by_kind["published"] + [c for c in cases if kind_of(c) == OTHER]
    if published:
        blocks.append(_case_table(view, published, "Against published figures"))
    folded = {
        "Every case that was measured here": by_kind["measured here"],
        "The cases that the prediction was fitted to": by_kind["fitted to"],
    }
    return blocks + [
        Details(title, [_case_table(view, some)]) for title, some in folded.items() if some
    ]


def _verdict(cases: Sequence[PredictionCase]) -> Paragraph:
    """What came of the goals, on cases that were measured here and not fitted to."""
    if not cases:
        return Paragraph(
            "No case was measured here that the prediction was not fitted to.", "warning"
        )
    peak = errors([c for c in cases if c.unit == "bytes"])
    limit = errors([c for c in cases if c.unit == "examples"])
    said = []
    if peak.median is not None and peak.worst is not None:
        said += [
            f"the peak's median absolute error is {percent(peak.median)} % "
            f"({_goal(peak.median, MEDIAN_GOAL)})",
            f"its worst {_signed(peak.worst)} % ({_goal(abs(peak.worst), WORST_GOAL)})",
        ]
    if limit.within_step:
        said.append(
            f"the limit was within one step in {_share(limit.within_step)} "
            f"({_goal(limit.within_step.value, WITHIN_STEP_GOAL, above=True)})"
        )
    if limit.broken:
        said.append(
            f"a batch that failed was promised in {_share(limit.broken)} "
            f"({_goal(limit.broken.value, BROKEN_GOAL)})"
        )
    kinds = (
        _number_of(len({c.backend for c in cases}), "backend"),
        _number_of(len({c.architecture for c in cases}), "architecture"),
        _number_of(len({c.length for c in cases}), "length"),
        _number_of(len({c.precision for c in cases}), "precision"),
    )
    return Paragraph(
        f"On {_number_of(len(cases), 'case')} that the prediction was not fitted to "
        f"({', '.join(kinds)}): {'; '.join(said) or 'no error could be taken'}.",
        "lead",
        "Predicted against measured",
    )


def _error_table(view: View, by_kind: dict[str, list[PredictionCase]]) -> Table:
    columns = [
        Column("cases", numeric=False),
        Column("of", numeric=False),
        Column("backend", numeric=False),
        Column("cases"),
        Column("median", "absolute, %"),
        Column("worst", "signed, %"),
        Column("lean", "median, %"),
        Column("within a step"),
        Column("in range"),
        Column("promise broken"),
        Column("its cost", "median, %"),
    ]
    rows = []
    for kind, cases in by_kind.items():
        for unit, what in UNITS.items():
            some = [c for c in cases if c.unit == unit]
            sides = sorted({(c.backend, c.device) for c in some})
            if len(sides) > 1:
                rows.append([Cell(kind), Cell(what), Cell("all"), *_error_cells(errors(some))])
            rows += [
                [
                    Cell(kind),
                    Cell(what),
                    _who(view, *side),
                    *_error_cells(errors([c for c in some if (c.backend, c.device) == side])),
                ]
                for side in sides
            ]
    return Table(columns, rows, "Signed error: predicted less found, as a share of what was found")


def _error_cells(e: Errors) -> list[Cell]:
    worst = "" if e.worst_steps is None else f", worst {e.worst_steps:+}"
    within, inside, broken = (
        Cell("")
        if share is None
        else Cell(f"{percent(share.value)} %", f"{count(share.part)} of {count(share.whole)}{more}")
        for share, more in ((e.within_step, worst), (e.inside, ""), (e.broken, ""))
    )
    return [
        Cell(count(e.cases), f"{count(e.undecided)} undecided" * bool(e.undecided)),
        gap("none") if e.median is None else Cell(percent(e.median)),
        *[gap("none") if v is None else Cell(_signed(v)) for v in (e.worst, e.lean)],
        within,
        inside,
        broken,
        Cell("" if e.cost is None else percent(e.cost)),
    ]


def _figures(view: View, cases: Sequence[PredictionCase]) -> list[Block]:
    """One plot per unit and backend, on which each kind of case has a shape of its own."""
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
    scale, axis = (GIB, "GiB found") if what == "peak" else (1, "batch found")
    colour = view.colour(backend)
    points = [
        Point(c.measured / scale, 100 * error, colour, SHAPES[kind_of(c)]) for c, error in some
    ]
    goal = [Level(100 * end, f"goal: {_signed(end)} %") for end in (WORST_GOAL, -WORST_GOAL)]
    svg = lines(
        [], axis, "signed error, %", points=points, levels=[Level(0, ""), *goal * (what == "peak")]
    )
    kinds = [kind for kind in KINDS if any(kind_of(c) == kind for c, _ in some)]
    signed = [error for _, error in some]
    return Figure(
        f"Error of the predicted {what}: {view.title(backend)}",
        svg,
        f"{_number_of(len(some), 'case')}, from {_signed(min(signed))} % to "
        f"{_signed(max(signed))} %",
        [Legend(kind, colour, key(SHAPES[kind], colour)) for kind in kinds],
    )


def _case_table(view: View, cases: Sequence[PredictionCase], caption: str = "") -> Table:
    columns = [
        Column("backend", numeric=False),
        Column("model", numeric=False),
        Column("length", "tokens"),
        Column("precision", numeric=False),
        Column("phase", numeric=False),
        Column("asked", numeric=False),
        Column("predicted", "range"),
        Column("found"),
        Column("error", "%"),
        Column("steps", numeric=False),
        Column("source", numeric=False),
    ]
    return Table(
        columns,
        [
            [
                _who(view, c.backend, c.device),
                Cell(c.checkpoint, c.architecture if c.architecture != c.checkpoint else ""),
                Cell(count(c.length)),
                Cell(c.precision),
                Cell(c.phase, c.setting),
                Cell(_asked(c)),
                Cell(_amount(c, c.predicted), f"{_amount(c, c.low)} to {_amount(c, c.high)}"),
                Cell(_found(c)),
                _error_cell(c),
                _steps_cell(c),
                Cell(c.source, f"other conditions: {c.conditions}" if c.conditions else ""),
            ]
            for c in cases
        ],
        caption,
    )


def _found(case: PredictionCase) -> str:
    """'34', '64, 128 fails', 'at least 1,024'."""
    found = _amount(case, case.measured)
    if case.unit == "bytes":
        return found
    return (
        f"at least {found}" if case.fails_at is None else (f"{found}, {count(case.fails_at)} fails")
    )


def _asked(case: PredictionCase) -> str:
    if case.unit == "examples":
        return f"limit within {case.budget}" if case.budget else "limit"
    over = case.over_batch_size
    return (
        "peak"
        + (f" at batch {count(case.batch_size)}" if case.batch_size else "")
        + (f" over that at {count(over)}" if over else "")
    )


def _amount(case: PredictionCase, value: float) -> str:
    if case.unit == "bytes":
        return f"{number(value / GIB)} GiB"
    return number(value, places=0)


def _error_cell(case: PredictionCase) -> Cell:
    error = error_of(case)
    return gap("none") if error is None else Cell(_signed(error))


def _steps_cell(case: PredictionCase) -> Cell:
    """'-1 (too low)', '+1 (too high, promise broken)'; empty for a peak."""
    if case.unit == "bytes":
        return Cell("")
    broken = ", promise broken" * (judged(case, case.low) == "too high")
    return Cell("" if case.steps is None else f"{case.steps:+}", judged(case) + broken)


def _signed(share: float) -> str:
    """In percent, with its sign."""
    return f"{'+' * (share > 0)}{percent(share)}"


def _share(share: Share) -> str:
    return f"{count(share.part)} of {count(share.whole)} ({percent(share.value)} %)"


def _goal(value: float, goal: float, *, above: bool = False) -> str:
    met = value >= goal if above else value <= goal
    return (
        f"goal {'at least' if above else 'at most'} {percent(goal)} %: {'met' if met else 'missed'}"
    )


def _number_of(n: int, word: str) -> str:
    return f"{count(n)} {word}{'s' * (n != 1)}"


def _who(view: View, backend: str, device: str = "") -> Cell:
    return Cell(
        view.title(backend), f"on a {device.upper()}" * bool(device), colour=view.colour(backend)
    )


def _labels(view: View) -> list[Block]:
    traced = [(c.backend, c.versions) for c in view.cases if c.versions]
    traced += [(p.backend, p.versions) for p in view.predictions]
    versions = {
        view.title(backend): ", ".join(f"{k} {v}" for k, v in sorted(own.items()))
        for backend, own in traced
    }
    words = unique(work_of(p).precision for p in view.predictions)
    return [
        Paragraph(" \u00b7 ".join(["Predicted without training", *words]), "small"),
        Details(
            "Versions and the command that makes it again",
            [*[Facts(list(versions.items()))] * bool(versions), *commands(view.runs)],
        ),
    ]
