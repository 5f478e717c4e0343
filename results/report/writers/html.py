"""The report as HTML: one self-contained file, or the pages of a site that share one script file."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from results.report.charts.chart import Chart, colour, dash, label
from results.report.charts.draw import library, svg, vega
from results.report.document import Document, Legend, Link
from results.report.format import plain, plain_lines

SCRIPT_FILE = "charts.js"  # of a site


@dataclass(frozen=True)
class Scripts:
    policy: str  # the sources of scripts that the page may run
    tags: Markup


def write(document: Document) -> str:
    """A page that needs nothing else: no network, no other file. Scripts run by their hashes only."""
    codes = (library(), page_script()) if document.has_charts else ()
    hashes = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in codes]
    policy = " ".join([f"'sha256-{one}'" for one in hashes] + ["'unsafe-eval'"] * bool(codes))
    tags = Markup("\n").join(Markup(f"<script>{code}</script>") for code in codes)
    return _render(document, Scripts(policy or "'none'", tags), ())


def write_page(document: Document, site: Sequence[tuple[Link, bool]]) -> str:
    """A page of a site; `site` are its pages, each with whether it is this one."""
    tags = Markup('<script src="{}"></script>').format(SCRIPT_FILE)
    policy = "'self' file: 'unsafe-eval'" if document.has_charts else "'none'"
    return _render(document, Scripts(policy, tags if document.has_charts else Markup("")), site)


def script_file() -> str:
    """What the pages of a site share."""
    return f"{library()}\n{page_script()}"


@functools.cache
def page_script() -> str:
    return resources.files("results.report").joinpath("templates/page.js").read_text("utf-8")


def _render(document: Document, scripts: Scripts, site: Sequence[tuple[Link, bool]]) -> str:
    template = _environment().get_template("report.html.j2")
    return template.render(document=document, scripts=scripts, site=site)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("results.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_clean,
    )
    environment.filters["code"] = lambda text: Lines(plain_lines(text))
    environment.filters["picture"] = lambda chart: Markup(svg(chart))
    environment.filters["vega"] = _data
    environment.filters["mark"] = _mark
    environment.filters["series"] = label
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    return environment


def _data(chart: Chart) -> Markup:
    """A specification inside a script element, which nothing in it can end."""
    text = json.dumps(vega(chart), separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


_MARKS = {
    "dot": '<circle r="4.5" fill="{}"/>',
    "square": '<rect x="-4" y="-4" width="8" height="8" fill="{}"/>',
    "ring": '<circle r="4" fill="none" stroke="{}" stroke-width="2"/>',
    "cross": '<path d="M-4,-4L4,4M-4,4L4,-4" stroke="{}" stroke-width="2"/>',
}


def _mark(item: Legend) -> Markup:
    """A legend's line or point."""
    if item.mark:
        shape = Markup(_MARKS[item.mark]).format(colour(item.colour))
        return Markup(
            '<svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">{}</svg>'
        ).format(shape)
    return Markup(
        '<svg width="26" height="8" aria-hidden="true"><line x1="0" y1="4" x2="26" y2="4" '
        'stroke="{}" stroke-width="2.5" stroke-dasharray="{}"/></svg>'
    ).format(colour(item.colour), " ".join(map(str, dash(item.colour))))


class Lines(str):
    """Text that was cleaned line by line and keeps its line breaks."""


def _clean(value: object) -> object:
    """Every text on its way into the page: control characters out. The escaping follows it."""
    if isinstance(value, str) and not isinstance(value, (Markup, Lines)):
        return plain(value)
    return value
