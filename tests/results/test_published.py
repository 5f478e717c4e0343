"""The published runs are sound, and their front page is what the command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.cli.report import backend_titles
from results import contribution
from results.report.site import merged_view
from results.report.site.readme import readme

pytestmark = pytest.mark.once
PUBLISHED = Path(__file__).parents[2] / "results" / "published"
RUNS = sorted(path.parent for path in PUBLISHED.glob("*/*/run.json"))


def test_the_front_page_is_not_stale() -> None:
    """Where it is: ftbench report results/published/*/*/ --out results/published"""
    made = readme(merged_view(RUNS, backend_titles()), PUBLISHED)
    assert (PUBLISHED / "README.md").read_text("utf-8") == made.text
    assert all((PUBLISHED / path).is_file() for path in made.pictures)


@pytest.mark.parametrize("folder", RUNS, ids=lambda p: p.name)
def test_published_runs_are_sound(folder: Path) -> None:
    """Runs of before 0.2.0 may name no commit."""
    found = contribution.problems(folder)
    assert not [line for line in found if "names no commit" not in line]
