"""The charts of a made-up report, without drawing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from results.report import document
from results.report.document import Figure, figures_of
from results.report.load import read_runs
from results.report.view import View


def figures(folder: Path, titles: Mapping[str, str] | None = None) -> list[Figure]:
    """Every chart of a run's report."""
    report = document(View.of(read_runs([folder]), titles or {}))
    blocks = [*report.first_screen, *(b for section in report.sections for b in section.blocks)]
    return [figure for block in blocks for figure in figures_of(block)]


def layers(figure: Figure) -> Iterator[dict[str, Any]]:
    """All layers of a chart that draw something, with the data that they draw."""
    yield from _layers(figure.chart.spec, [])


def _layers(spec: Mapping[str, Any], inherited: list[Any]) -> Iterator[dict[str, Any]]:
    values = spec.get("data", {}).get("values", inherited)
    for layer in spec.get("layer", []):
        yield from _layers(layer, values)
    if "mark" in spec:
        yield {**spec, "values": values}


def drawn(figure: Figure, kind: str, **of_the_mark: Any) -> list[Any]:
    """The data of all marks of one kind, such as the points of a shape."""
    return [
        row
        for layer in layers(figure)
        if layer["mark"]["type"] == kind
        and layer.get("name") != "hover"
        and all(layer["mark"].get(name) == value for name, value in of_the_mark.items())
        for row in layer["values"]
    ]
