"""The report as one HTML file that needs nothing else: no network, no script, no font file."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from results.report.document import Document
from results.report.format import plain, plain_lines


def write(document: Document) -> str:
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
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    return environment.get_template("report.html.j2").render(document=document)


class Lines(str):
    """Text that was cleaned line by line and keeps its line breaks."""


def _clean(value: object) -> object:
    """Every text on its way into the page: control characters out. The escaping follows it."""
    if isinstance(value, str) and not isinstance(value, (Markup, Lines)):
        return plain(value)
    return value
