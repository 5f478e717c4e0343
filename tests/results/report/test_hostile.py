"""Text from data, labels, file names and workers is shown as text, whatever it holds."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len

from results import store
from results.report import as_markdown, render, table, write_site
from results.report.format import plain
from results.report.writers import terminal
from results.report.writers.markdown import escape
from results.schema import Measurement, RunInfo
from tests.results import sample_limits, samples

MakeRun = Callable[..., Path]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</pre></td></table>",
    "{{ 7 * 7 }}{% raw %}",
    "a|b|c",
    "`code` ``` ````",
    "line\none\r\n\n# heading",
    "\x1b[31mred\x1b[0m\x07\x00",
    "\x1b]0;title\x07",
    "[link](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "https://example.org www.example.org",
    "\u202eright to left",
    "# h",
    "- l",
    "1. n",
    "=== ",
    "> q",
    "***",
    "\\| \\",
    "&lt;b&gt; &amp;",
    "_a_ __b__ ~~c~~ $x$",
    "|---|---|",
    "a\u2028b\x85c",
    "caf\udce9",
    "<!-- ",
    "]]>",
    "    code",
    "+ x",
    "*",
    "http://a.b",
]
# Words of ours.
KEPT = {
    "schema_version",
    "id",
    "question",
    "role",
    "status",
    "kind",
    "gaps",
    "phase",
    "outcome",
    "unit",
}
ALLOWED_TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "header",
    "nav",
    "a",
    "section",
    "h1",
    "h2",
    "p",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "pre",
    "div",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "small",
    "i",
    "figure",
    "figcaption",
    "span",
    "svg",
    "g",
    "rect",
    "line",
    "circle",
    "text",
    "polyline",
    "details",
    "summary",
    "strong",
    "article",
    "path",
    "script",
    "label",
    "input",
    "select",
    "option",
    "defs",
    "clippath",
}


def poisoned(value: Any, text: str, key: str = "") -> Any:
    """Every string field and every key of a mapping with `text` put into it."""
    if isinstance(value, str) and key not in KEPT:
        return value + text
    if isinstance(value, dict):
        free = key in {
            "versions",
            "environment",
            "scores",
            "evaluation_examples",
            "details",
            "parts",
        }
        return {
            (k + text if free else k): v if k in KEPT else poisoned(v, text, k)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [poisoned(v, text, key) for v in value]
    return value


def poisoned_run(make_run: MakeRun, text: str) -> Path:
    bad = samples.measurement(
        "hf_tf",
        "imdb",
        "throughput",
        suffix="-failed",
        status="failed",
        reason="no",
        stderr_tail=["a line", "```", "another"],
    )
    some = [
        m.model_copy(update={"environment": {"NAME": "value"}})
        for m in [
            *samples.sample_measurements(("imdb",)),
            bad,
            *samples.controls("hf_tf", "imdb"),
            sample_limits.limit_measurement("hf_tf"),
            sample_limits.limit_measurement("hf_tf", length=64),
        ]
        if m.job.backend != "hf_torch"
    ]
    measurements = [Measurement.model_validate(poisoned(m.model_dump(), text)) for m in some]
    info = RunInfo.model_validate({**poisoned(samples.run_info().model_dump(), text), "run": "r"})
    folder = make_run(measurements, info)
    raw = {**poisoned(sample_limits.prediction("hf_tf").model_dump(), text), "device": "gpu"}
    (folder / store.PREDICTIONS).mkdir()
    (folder / store.PREDICTIONS / "one.json").write_text(json.dumps(raw))
    cases = [
        poisoned(c.model_dump(), text)
        for c in sample_limits.sample_cases()
        if c.backend == "hf_tf" or c.source != "measured"
    ]
    (folder / store.CASES_FILE).write_text(json.dumps(cases))
    return folder


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_is_inert_in_markdown(
    make_run: MakeRun, harmless: list[str], text: str
) -> None:
    markdown = as_markdown([poisoned_run(make_run, text)])
    assert shape(markdown) == harmless
    assert not [c for c in markdown if ord(c) < 32 and c != "\n"]


@pytest.mark.parametrize("start", range(0, len(HOSTILE), 9))
def test_hostile_text_is_inert_in_pages(make_run: MakeRun, tmp_path: Path, start: int) -> None:
    """Several texts in one, because every page costs the drawing of its charts."""
    texts = HOSTILE[start : start + 9]
    folder = poisoned_run(make_run, " ".join(texts))
    html = render([folder]).html.read_text("utf-8")
    page = read_page(html)
    for text in texts:
        assert plain(text) in " ".join(plain(page.text).split()) or text == "    code"
    pages = [
        html,
        *(p.read_text("utf-8") for p in write_site([folder], tmp_path) if p.suffix == ".html"),
    ]
    for one in pages:
        no_foreign_elements(one, read_page(one))
        for picture in re.findall("<svg .*?</svg>", one, re.DOTALL):
            ElementTree.fromstring(picture)  # well formed, so nothing broke out of it
        for data in re.findall('<script type="application/json">(.*?)</script>', one, re.DOTALL):
            json.loads(data)
        assert not [c for c in one.split("<script>")[0] if ord(c) < 32 and c != "\n"]


def no_foreign_elements(html: str, page: Page) -> None:
    assert {tag for tag, _ in page.tags} <= ALLOWED_TAGS
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert re.fullmatch(r"#[a-z-]+|[a-z0-9-]+\.html", attributes.get("href") or "#a"), (
            attributes
        )
        assert attributes.get("src") in (None, "charts.js") and "style" not in attributes
    assert html.count("<style>") == 1 and html.count("</table>") == html.count("<table>")
    pictures = sum(tag == "figure" for tag, _ in page.tags)
    scripts = [dict(attributes) for tag, attributes in page.tags if tag == "script"]
    data = [one for one in scripts if one.get("type") == "application/json"]
    assert len(data) == pictures and len(scripts) - pictures in (0, 1, 2)


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The shape of the same report with a plain word in the place of the hostile text."""
    root = tmp_path_factory.mktemp("harmless")

    def make(measurements: list[Measurement], info: RunInfo) -> Path:
        folder = store.create_run(root, info)
        for m in measurements:
            store.write_measurement(folder, m)
        return folder

    return shape(as_markdown([poisoned_run(make, "x")]))


def shape(markdown: str) -> list[str]:
    """Headings, tables with their cells, lists and fences in order; no HTML, link or picture."""
    tokens: list[Token] = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    inner = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in [*tokens, *inner]}
    assert not kinds & {
        "html_block",
        "html_inline",
        "image",
        "link_open",
        "code_inline",
        "code_block",
        "hr",
        "em_open",
        "s_open",
        "blockquote_open",
    }, kinds
    return [token.type for token in tokens]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_stays_on_its_line_in_the_terminal(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    m = samples.sample_measurements(("imdb",))[0]
    hostile = Measurement.model_validate(poisoned(m.model_dump(), text))
    shown = table([hostile])
    assert all(cell_len(line) <= terminal.WIDTH for line in shown.splitlines()[:-1])
    assert "\x1b" not in shown
    monkeypatch.setattr(terminal, "WIDTH", 1000)  # nothing wraps, and only a note has its own line
    head, row, note, proof = 3, 1, 1, 1
    assert len(table([hostile]).splitlines()) == head + row + note + proof


@pytest.mark.parametrize(
    "name",
    ["hf_torch", "a_b_c", "MiniLM-L6", "10,000 of 25,000", "91.2 %", "C++ (gcc)", "version 2.13.0"],
)
def test_ordinary_text_reads_as_it_is_in_markdown(name: str) -> None:
    assert escape(name) == name
