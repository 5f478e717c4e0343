"""Charts of a study, and how its changes are called."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.accuracy.studies import AccuracyStudy, Trained
from results.analysis.statistics import mean_estimate
from results.report.charts import Bar, bars
from results.report.charts.lines import Line, lines
from results.report.document import Figure, Legend
from results.report.format import number, percent
from results.report.view import View

PLACES = 2


def figures(view: View, found: Sequence[AccuracyStudy]) -> list[Figure]:
    drawn: list[Figure] = []
    for run, task in dict.fromkeys((s.run, s.task) for s in found):
        same = [s for s in found if (s.run, s.task) == (run, task)]
        on = same[0].evaluation_sets[0]
        if _is_of_sizes(same[0]):
            drawn += _by_size(view, same, on)
        else:
            drawn += [_bars(view, study, on) for study in same]
    return drawn


def _is_of_sizes(study: AccuracyStudy) -> bool:
    """Whether the changes are to the number of training examples alone."""
    trained = [c for c in study.changes if c.trainings]
    others = {name for c in trained for name in changed_fields(study, c)} - {"data"}
    return not others and len({c.train_examples for c in trained}) == len(trained) > 2


def _bars(view: View, study: AccuracyStudy, on: str) -> Figure:
    items = []
    for change in (c for c in study.changes if c.trainings):
        found = mean_estimate(list(change.by_seed(on).values()))
        low, high = (found.interval.low, found.interval.high) if found.interval else (None, None)
        items.append(
            Bar(
                named(change),
                100 * found.value,
                f"{percent(found.value, PLACES)} %",
                view.colour(study.backend),
                None if low is None else 100 * low,
                None if high is None else 100 * high,
            )
        )
    title = f"Accuracy by change on {on}: {head(view, study)}"
    axis = "accuracy, %; the axis does not begin at 0"
    return Figure(
        title,
        bars(items, axis, from_zero=False),
        "; ".join(f"{item.label} {item.text}" for item in items),
    )


def _by_size(view: View, same: Sequence[AccuracyStudy], on: str) -> list[Figure]:
    """Accuracy against the number of training examples, and against training seconds."""
    series: dict[str, list[Line]] = {"training examples": [], "training, s": []}
    for study in same:
        kept = [c for c in study.changes if c.trainings and c.train_examples]
        kept.sort(key=lambda c: c.train_examples or 0)
        ys = [100 * mean_estimate(list(c.by_seed(on).values())).value for c in kept]
        title, colour = view.title(study.backend), view.colour(study.backend)
        xs = [float(c.train_examples or 0) for c in kept]
        series["training examples"].append(Line(title, xs, ys, colour))
        by_time = sorted((c.training_seconds, y) for c, y in zip(kept, ys, strict=True))
        times, reached = [t for t, _ in by_time], [y for _, y in by_time]
        series["training, s"].append(Line(title, times, reached, colour))
    legend = [Legend(view.title(s.backend), view.colour(s.backend)) for s in same]
    where = f"{same[0].task}, {on}"
    return [
        Figure(
            f"Accuracy against {axis.split(',')[0]}: {where}",
            lines(drawn, axis, "accuracy, %"),
            "; ".join(f"{d.label} from {number(d.ys[0])} to {number(d.ys[-1])} %" for d in drawn),
            legend,
        )
        for axis, drawn in series.items()
    ]


def changed_fields(study: AccuracyStudy, change: Trained) -> list[str]:
    """The recipe fields, and 'data', in which a change differs from the plain recipe."""
    plain = study.plain
    names = [name for name, value in change.recipe.items() if value != plain.recipe.get(name)]
    if _data_text(change) != _data_text(plain):
        names.append("data")
    return [name for name in names if name != "seed"]


def _data_text(change: Trained) -> str:
    return next((m.data.fingerprint for m in change.group.ok if m.data), "")


def named(change: Trained) -> str:
    return change.change.replace("_", " ")


def head(view: View, study: AccuracyStudy) -> str:
    run = f" ({study.run})" if view.several_runs else ""
    return f"{study.task}{run}, {view.title(study.backend)}"
