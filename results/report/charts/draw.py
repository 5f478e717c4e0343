"""From specifications to pictures and to what the page's script draws: vl-convert, imported when the
first chart is drawn."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from results.report.charts.chart import HOVER, VARIABLES, Chart
from results.store import StoreError, write_text

VEGA_LITE = "6.1"
MANY_ROWS = 200  # of a data set: those of more are written as lists


def vega(chart: Chart) -> dict[str, Any]:
    """The Vega specification: with a signal `off` for the series that are not shown, and signals for
    the smoothing and the horizontal axis where the chart has them."""
    return _vega(_with_parameters(chart.spec), _axis_title(chart))


def svg(chart: Chart) -> str:
    """The chart as an inline picture; its colours are the page's CSS variables."""
    return _svg(_vega(_with_parameters(_without_hover(chart.spec)), _axis_title(chart)))


def standalone_svg(chart: Chart) -> str:
    """The chart as a file of its own, on white."""
    picture = re.sub(r"var\((--\w+)\)", lambda found: VARIABLES[found[1]], svg(chart))
    end = picture.index(">") + 1
    return f'{picture[:end]}<rect width="100%" height="100%" fill="#ffffff"/>{picture[end:]}\n'


@functools.cache
def library() -> str:
    """Vega's code, for the page. Bundling it takes seconds, so it is kept in the user's cache."""
    import platformdirs
    import vl_convert

    version = vl_convert.get_vega_version()
    bundler = metadata.version("vl-convert-python")
    kept = Path(platformdirs.user_cache_dir("ftbench")) / f"vega-{version}-{bundler}.js"
    if kept.is_file():
        return kept.read_text("utf-8")
    code: str = vl_convert.javascript_bundle(
        f'import * as V from "/npm/vega@{version}/+esm"; window.vega = V;'
    )
    code = code.replace("</script", "<\\/script")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, code)
    except (OSError, StoreError):  # a cache that cannot be written only costs the seconds again
        return code
    return code


def _with_parameters(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec, "params": [*spec.get("params", []), {"name": "off", "value": []}]}


def _without_hover(spec: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(spec)
    if "layer" in spec:
        kept["layer"] = [
            _without_hover(layer) for layer in spec["layer"] if layer.get("name") != HOVER
        ]
    return kept


def _axis_title(chart: Chart) -> str:
    """An expression of Vega that gives the title of the chosen horizontal axis."""
    return f"({json.dumps(dict(chart.axes))})[axis]" if chart.axes else ""


def _vega(spec: Mapping[str, Any], axis_title: str) -> dict[str, Any]:
    """Charts that differ in their data alone are compiled once."""
    found: dict[str, list[Any]] = {}
    compiled: dict[str, Any] = json.loads(_compiled(json.dumps(_named(spec, found)), axis_title))
    for data in compiled["data"]:
        if data["name"] in found:
            rows = found[data["name"]]
            if len(rows) < MANY_ROWS:
                data["values"] = rows
            else:
                _put_lists(data, rows)
    return compiled


def _put_lists(data: dict[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as lists, whose columns get their names when the chart is drawn: with the names in every
    row, the curves of many trainings make a page three times as large."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    data["values"] = [[_short(row.get(name)) for name in names] for row in rows]
    named = [{"type": "formula", "expr": f"datum[{i}]", "as": n} for i, n in enumerate(names)]
    data["transform"] = [*named, *data.get("transform", [])]


def _short(value: Any) -> Any:
    """1.0 as 1, which is the same number in JavaScript."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _named(spec: Any, found: dict[str, list[Any]]) -> Any:
    """The specification with a name in place of all values, which go into `found` by that name."""
    if isinstance(spec, list):
        return [_named(one, found) for one in spec]
    if not isinstance(spec, dict):
        return spec
    if isinstance(spec.get("values"), list):
        name = f"values_{len(found)}"
        found[name] = spec["values"]
        return {"name": name}
    return {key: _named(one, found) for key, one in spec.items()}


@functools.lru_cache(maxsize=256)
def _compiled(spec: str, axis_title: str) -> str:
    import vl_convert

    compiled = vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)
    # What Vega can change by a signal and Vega-Lite cannot: a window's frame and an axis's title.
    text = json.dumps(compiled).replace('["@frame"]', '{"signal": "[-smooth, smooth]"}')
    text = text.replace('"title": "@axis"', f'"title": {{"signal": {json.dumps(axis_title)}}}')
    return text


def _svg(spec: Mapping[str, Any]) -> str:
    import vl_convert

    picture: str = vl_convert.vega_to_svg(json.dumps(spec))
    return re.sub(r' d="[^"]*"', _rounded, picture)


def _rounded(path: re.Match[str]) -> str:
    """A tenth of a pixel is all that an eye sees; Vega writes thousandths."""
    return re.sub(r"\d+\.\d\d+", lambda number: f"{float(number[0]):.1f}", path[0])
