"""Learning curves: loss, gradient norm and accuracy during training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from results.analysis.accuracy.curves import Curve, evaluation_curve, training_curve, with_means
from results.analysis.compare import Row
from results.report.charts import curves
from results.report.document import Figure, Legend
from results.report.format import number
from results.report.view import View
from results.schema import CurvePoint, Measurement

SMOOTH = 10  # points on either side that the picture of a curve averages


def curve_figures(view: View, rows: Sequence[Row]) -> list[Figure]:
    head = view.head(rows[0].comparison)
    trained = [
        (r.backend, a, epochs(m))
        for r in rows
        for g in r.groups.get("accuracy", [])
        for m in g.ok
        if (a := m.accuracy)
    ]
    by_step: list[tuple[str, str, Callable[[CurvePoint], float | None]]] = [
        (f"Training loss: {head}", "loss, nats", lambda p: p.loss),
        (f"Gradient norm before clipping: {head}", "global norm", lambda p: p.gradient_norm),
    ]
    figures = [
        _curve_figure(
            view, title, axis, [training_curve(b, a, e, value) for b, a, e in trained], SMOOTH
        )
        for title, axis, value in by_step
    ]
    for name in sorted({name for _, a, _ in trained for name in a.scores}):
        found = [evaluation_curve(b, a, e, name) for b, a, e in trained]
        title = f"Accuracy during training, {name}: {head}"
        figures.append(_curve_figure(view, title, "accuracy, %", found, 0))
    return [figure for figure in figures if figure]


def epochs(m: Measurement) -> float | None:
    """Epochs of the whole training, where the recipe says them or it ended early."""
    if m.accuracy and m.accuracy.stopped_early and m.data:
        return m.accuracy.examples / m.data.train_examples
    number = m.recipe.get("epochs")
    return float(number) if isinstance(number, (int, float)) and not m.recipe.get("steps") else None


def _curve_figure(
    view: View, title: str, y_axis: str, found: Sequence[Curve | None], smooth: int
) -> Figure | None:
    drawn = with_means([curve for curve in found if curve])
    if not drawn:
        return None
    summary = "; ".join(
        f"{view.title(c.backend)} from {number(c.points[0].value)} to {number(c.points[-1].value)}"
        for c in drawn
        if not c.thin
    )
    titles, colours = zip(
        *((view.title(c.backend), view.colour(c.backend)) for c in drawn), strict=True
    )
    legend = [
        Legend(text, colour) for text, colour in dict.fromkeys(zip(titles, colours, strict=True))
    ]
    chart = curves(drawn, titles, colours, y_axis, smooth)
    return Figure(title, chart, f"{y_axis}: {summary}", legend)
