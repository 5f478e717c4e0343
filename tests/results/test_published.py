"""The published runs are sound, and their front page is what the command writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.harness.cli.report import backend_titles
from results import contribution, store
from results.report.site import merged_view
from results.report.site.readme import readme

pytestmark = pytest.mark.once
PUBLISHED = Path(__file__).parents[2] / "results" / "published"
RUNS = sorted(path.parent for path in PUBLISHED.glob("*/*/run.json"))


def test_the_front_page_is_not_stale() -> None:
    """Where it is: ftbench report results/published/*/*/ --out results/published"""
    made = readme(merged_view(RUNS, backend_titles()), PUBLISHED)
    assert (PUBLISHED / "README.md").read_text("utf-8") == made.text
    assert {f"charts/{path.name}" for path in (PUBLISHED / "charts").iterdir()} == set(
        made.pictures
    )


@pytest.mark.parametrize("folder", RUNS, ids=lambda p: p.name)
def test_published_runs_are_sound(folder: Path) -> None:
    """Runs of before 0.2.0 may name no commit."""
    found = contribution.problems(folder)
    assert not [line for line in found if "names no commit" not in line]


def test_a_contribution_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    run, target = tmp_path / "run", tmp_path / "published" / "machine" / "name"
    shutil.copytree(RUNS[0], run)
    lost = run / "lost.npz"
    lost.symlink_to(tmp_path / "missing")
    with pytest.raises(store.StoreError, match="cannot write"):
        contribution.contribute(run, target)
    assert not list(target.parent.iterdir())
    lost.unlink()
    files = contribution.contribute(run, target)
    assert target / "run.json" in files
    assert list(target.parent.iterdir()) == [target]
    with pytest.raises(store.StoreError, match="already exists"):
        contribution.contribute(run, target)
    assert sorted(path for path in target.rglob("*") if path.is_file()) == files
