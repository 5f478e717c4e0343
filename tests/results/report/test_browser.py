"""The pages in a real browser: no script error, every chart drawn, nothing that cannot be reached."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from results import store
from results.report import render, write_site
from tests.results import sample_limits, samples
from tests.results.report.test_hostile import poisoned_run

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(BROWSER is None, reason="no chromium here: the pages are not tested in it"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one run with everything, and the run's own page, `report.html`."""
    root = tmp_path_factory.mktemp("site")
    folder = store.create_run(root, samples.run_info())
    several = [
        samples.measurement(
            "hf_torch",
            "imdb",
            "accuracy",
            suffix=f"-seed_{seed}",
            recipe={"seed": seed},
            accuracy=samples.accuracy("imdb", 0.91, 0.6, seed),
        )
        for seed in (43, 44)
    ]
    for m in [*samples.sample_measurements(("imdb",)), *several]:
        store.write_measurement(folder, m)
    store.write_measurement(folder, sample_limits.limit_measurement("hf_torch"))
    write_site([folder], root, TITLES)
    render([folder], root, TITLES)
    return root


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """A page that is scrolled through once, and what its scripts complained about."""
    page = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, **options})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None
    )
    page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
    page.goto(path.as_uri())
    for figure in page.locator("figure:visible").all():
        figure.scroll_into_view_if_needed()
    return page, problems


def test_every_chart_is_drawn_on_every_page_without_an_error(browser: Any, site: Path) -> None:
    pages = sorted(site.glob("*.html"), key=lambda path: path.name.startswith("run-"))
    assert {"index.html", "speed.html", "accuracy.html", "report.html"} <= {p.name for p in pages}
    for path in pages:
        page, problems = opened(browser, path)
        shown = page.locator("figure:visible").count()
        page.wait_for_function(
            "n => document.querySelectorAll('figure[data-drawn]').length >= n", arg=shown
        )
        links = page.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert not [h for h in links if not h.startswith("#") and not (site / h).is_file()]
        assert not problems, path.name
        assert path.stat().st_size < 1_500_000
        page.close()
    assert shown, "the last page is that of the run, and has charts"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of all published runs."""
    root, runs = tmp_path_factory.mktemp("published"), Path(__file__).parents[3]
    found = sorted((runs / "results" / "published").glob("*/*/run.json"))
    write_site([path.parent for path in found], root, TITLES)
    return root


# Tables whose content runs out of them, or that end outside of the page's column.
CUT = """all => all.filter(t => (
    t.scrollWidth > t.clientWidth + 1 && !(innerWidth < 700)
    || t.getBoundingClientRect().right > document.querySelector("main").getBoundingClientRect().right
)).map(t => t.innerText.slice(0, 80))"""


@pytest.mark.parametrize("width", [1280, 375])
def test_no_table_of_published_runs_runs_out_of_its_column(
    browser: Any, published: Path, width: int
) -> None:
    """On a phone, a table scrolls inside its own place."""
    page, problems = opened(
        browser, published / "index.html", viewport={"width": width, "height": 800}
    )
    for path in published.glob("*.html"):
        assert path.stat().st_size < 1_500_000, path.name
        if not path.name.startswith("run-"):
            page.goto(path.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
            assert not page.locator(".table").evaluate_all(CUT), path.name
    assert not problems
    page.close()


def test_a_chart_shows_the_figures_of_the_analysis(browser: Any, site: Path) -> None:
    page, _ = opened(browser, site / "index.html")
    page.wait_for_selector("figure[data-drawn]")
    texts = page.locator("figure").first.locator("svg text").all_text_contents()
    assert "TensorFlow" in texts and any(
        re.match(r"0\.8\d+ \(0\.8\d+ to 0\.8\d+\)", text) for text in texts
    )
    page.close()


def test_curves_can_be_smoothed_switched_and_read_by_another_axis(browser: Any, site: Path) -> None:
    page, problems = opened(browser, site / "accuracy.html")
    figure = page.locator("figure", has_text="Training loss")
    figure.locator("input[type=range]").wait_for()
    line = figure.locator("svg .mark-line path").first
    rough = line.get_attribute("d")
    figure.locator("input[type=range]").fill("0")
    page.wait_for_function(
        "([e, d]) => e.getAttribute('d') !== d", arg=[line.element_handle(), rough]
    )
    figure.locator("select").select_option("seconds")
    figure.locator("svg text", has_text="training seconds, without evaluation").wait_for()
    before = figure.locator("svg .mark-line path").count()
    switch = figure.get_by_role("button", name="PyTorch")
    switch.focus()
    page.keyboard.press("Space")  # the keyboard is enough
    page.wait_for_timeout(100)
    assert switch.get_attribute("aria-pressed") == "false"
    assert figure.locator("svg .mark-line path").count() < before
    assert not problems
    page.close()


def test_values_show_under_the_pointer(browser: Any, site: Path) -> None:
    page, _ = opened(browser, site / "index.html")
    page.wait_for_selector("figure[data-drawn]")
    page.locator("figure").first.locator("svg .mark-rect path").first.hover()
    page.locator(".tip:visible").wait_for()
    assert "0.8" in page.locator(".tip").inner_text()
    page.close()


@pytest.mark.parametrize("name", ["index.html", "speed.html", "report.html"])
def test_a_phone_and_a_dark_screen(browser: Any, site: Path, name: str) -> None:
    page, problems = opened(
        browser, site / name, viewport={"width": 375, "height": 800}, color_scheme="dark"
    )
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 375, "the page does not scroll sideways"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)"
    assert not problems
    page.close()


def test_without_javascript_the_pictures_are_there(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for path in (site / "report.html", next(site.glob("run-*.html"))):
        page.goto(path.as_uri())
        assert page.locator(".chart > svg").count() == page.locator("figure").count() > 5
    context.close()


def test_print_cuts_nothing(browser: Any, site: Path) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 900})
    page.goto(next(site.glob("run-*.html")).as_uri())
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(200)
    assert page.locator("figure:visible:not([data-drawn])").count() == 0
    assert page.locator("figure:visible").count() > 5
    cut = page.locator(".table:visible, .chart:visible").evaluate_all(
        "all => all.filter(e => e.scrollWidth > e.clientWidth + 2).length"
    )
    assert cut == 0
    page.close()


def test_hostile_text_runs_nothing(browser: Any, tmp_path: Path) -> None:
    text = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"

    def make(measurements: Any, info: Any) -> Path:
        folder = store.create_run(tmp_path, info)
        for m in measurements:
            store.write_measurement(folder, m)
        return folder

    folder = poisoned_run(make, text)
    for path in (render([folder]).html, *write_site([folder], tmp_path)[:2]):
        page, problems = opened(browser, path)
        assert not problems and page.locator("img").count() == 0
        page.close()
