"""The report of several runs as a folder of static pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from results.analysis.cost import Price, check_machines
from results.report.charts.draw import standalone_svg
from results.report.document import Link
from results.report.load import read_runs
from results.report.site.pages import Page, pages, run_pages
from results.report.site.readme import pictures_in, readme
from results.report.view import View
from results.report.writers import html
from results.store import StoreError, write_text

README = "README.md"


def write_site(
    folders: Sequence[Path],
    out: Path,
    titles: Mapping[str, str] | None = None,
    prices: Mapping[str, Price] | None = None,
) -> list[Path]:
    """Writes the site of the runs into `out` and returns the files: its home first, its README with
    pictures last. Pictures of an earlier README that the new one does not show are removed.

    `prices` are of an hour, by the names of machines.
    Errors: StoreError when a file cannot be written, UnknownMachine."""
    view = merged_view(folders, titles)
    check_machines(prices or {}, [m.device for run in view.runs for m in run.measurements])
    earlier = {out / name for name in pictures_in(out / README)}
    written = []
    for name, text in _files(replace(view, prices=prices or {}), out):
        written.append(out / name)
        _make(written[-1].parent)
        write_text(written[-1], text)
    for path in earlier.difference(written):
        _remove(path)
    return written


def _files(view: View, out: Path) -> Iterator[tuple[str, str]]:
    """Name and content of every file, one at a time."""
    found = pages(view)
    for page in itertools.chain(found, run_pages(view)):
        yield page.name, html.write_page(page.document, _navigation(found, page))
    yield html.SCRIPT_FILE, html.script_file()
    short = readme(view, out)
    for path, chart in short.pictures.items():
        yield path, standalone_svg(chart)
    yield README, short.text


def merged_view(folders: Sequence[Path], titles: Mapping[str, str] | None = None) -> View:
    return View.merged_by_machine(read_runs(folders), titles or {})


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}") from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror}") from None


def _navigation(found: Sequence[Page], current: Page) -> list[tuple[Link, bool]]:
    return [(Link(page.short, page.name), page is current) for page in found if page.short]
