"""Runs of one machine are merged by question, and the pages hold every figure."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from results import store
from results.report import write_site
from results.report.load import read_runs
from results.report.view import View
from results.schema import Measurement
from tests.results import samples
from tests.results.samples import measurement

pytestmark = pytest.mark.once
MakeRun = Callable[..., Path]
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}


def of(question: str, task: str = "imdb") -> list[Measurement]:
    return [m for m in samples.sample_measurements((task,)) if m.job.question == question]


def info(run: str, day: int) -> object:
    return samples.run_info(run).model_copy(
        update={"started_at": f"2026-11-{day:02}T10:00:00+00:00"}
    )


def merged(*folders: Path) -> View:
    return View.merged_by_machine(read_runs(folders), TITLES)


def test_questions_of_several_runs_make_one_comparison(make_run: MakeRun) -> None:
    view = merged(
        make_run(of("throughput"), info("speed", 20)),
        make_run(of("memory"), info("memory", 21)),
        make_run(of("accuracy"), info("accuracy", 22)),
    )
    (rows,) = view.comparisons
    assert all(row.speed and row.memory and row.scores for row in rows)
    assert not view.several_runs


def test_the_newest_race_stands_and_older_ones_are_named(make_run: MakeRun) -> None:
    slow = [
        measurement(b, "imdb", "throughput", throughput=samples.throughput(0.1)) for b in TITLES
    ]
    view = merged(make_run(slow, info("old", 20)), make_run(of("throughput"), info("new", 21)))
    (one,) = view.merged
    assert one.sources["throughput"] == ["new"] and one.older["throughput"] == ["old"]
    assert one.rows[0].speed and one.rows[0].speed.training.steps_per_second > 0.5


def test_a_newer_run_of_one_backend_does_not_end_a_race(make_run: MakeRun) -> None:
    view = merged(
        make_run(of("throughput"), info("race", 20)),
        make_run(of("throughput")[:1], info("alone", 21)),
    )
    assert view.merged[0].sources["throughput"] == ["race"]


def test_a_failed_job_does_not_replace_a_figure(make_run: MakeRun) -> None:
    failed = [
        measurement(b, "imdb", "memory", status="failed", reason="out of disk") for b in TITLES
    ]
    view = merged(make_run(of("memory"), info("old", 20)), make_run(failed, info("new", 21)))
    assert all(row.memory for row in view.comparisons[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"data": samples.data("imdb", generated=True)},
        {"recipe": {**samples.RECIPE, "length": 128}},
        {"device": samples.GPU},
    ],
    ids=["data", "recipe", "machine"],
)
def test_other_work_is_not_merged(make_run: MakeRun, changes: dict[str, object]) -> None:
    other = [m.model_copy(update=changes) for m in of("memory")]
    device = samples.GPU if "device" in changes else samples.CPU
    view = merged(
        make_run(of("throughput"), info("one", 20)),
        make_run(other, samples.run_info("two", device)),
    )
    assert len(view.comparisons) == 2
    assert view.several_runs is ("device" in changes)


def test_the_readme_is_short_and_has_pictures(make_run: MakeRun, tmp_path: Path) -> None:
    files = write_site([make_run()], tmp_path / "out", TITLES)
    text = files[-1].read_text("utf-8")
    assert "**imdb**: TensorFlow is fastest" in text and len(text.splitlines()) < 120
    pictures = [f for f in files if f.suffix == ".svg"]
    assert len(pictures) == 6
    for picture in pictures:
        assert f"]({picture.relative_to(tmp_path / 'out')})" in text
        assert "var(" not in picture.read_text("utf-8")


def test_a_run_in_which_everything_failed_has_a_site(make_run: MakeRun, tmp_path: Path) -> None:
    failed = [
        measurement(b, "imdb", q, status="failed", reason="broken here", data=None, effective=None)
        for b in TITLES
        for q in ("throughput", "memory", "accuracy")
    ]
    home, *_ = write_site([make_run(failed)], tmp_path / "out", TITLES)
    assert "No job gave figures" in home.read_text("utf-8")
    assert "broken here" in (tmp_path / "out" / "not-measured.html").read_text("utf-8")


def test_two_hundred_runs(tmp_path: Path) -> None:
    """10 seconds and 300 MB on an idle machine; the limits here leave room for a busy one."""
    folders = []
    for number in range(200):
        kind = ("throughput", "memory", "accuracy")[number % 3]
        folder = store.create_run(tmp_path, info(f"run-{number:03}", 1 + number % 28))  # type: ignore[arg-type]
        for m in of(kind, ("imdb", "mnli")[number % 2])[:1]:
            store.write_measurement(folder, m)
        folders.append(folder)
    began = time.process_time()
    files = write_site(folders, tmp_path / "out", TITLES)
    seconds = time.process_time() - began
    assert len([f for f in files if f.name.startswith("run-")]) == 200
    assert seconds < 30, f"{seconds:.0f} s of processor time"
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1200 * 1024
    )  # kilobytes; of all tests
