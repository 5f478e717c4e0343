"""What was not measured has a reason and is never zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from results import store
from results.report import table
from results.report.charts.draw import svg
from results.report.format import GIB
from results.schema import Measurement, Memory
from tests.results import samples
from tests.results.charts import drawn, figures
from tests.results.samples import measurement
from tests.results.texts import TITLES, MakeRun, both, sections_of, words

pytestmark = pytest.mark.smoke


def test_missing_figures_say_why_and_are_never_zero(make_run: MakeRun) -> None:
    """A figure that no backend has is no column; one that some have says why others have not."""
    made = samples.sample_measurements(("imdb",))
    memory = sections_of(words(make_run(made)))["How much memory?"]
    assert "allocated peak" not in memory and "N/A" not in memory and " 0.00 " not in memory
    counted = [
        m.model_copy(
            update={"payload": m.require(Memory).model_copy(update={"peak_allocated_bytes": GIB})}
        )
        if m.job.question == "memory" and m.job.backend == "hf_tf"
        else m
        for m in made
    ]
    memory = sections_of(words(make_run(counted, samples.run_info("counted"))))["How much memory?"]
    assert "allocated peak" in memory and "not counted on a CPU" in memory


def test_jobs_without_figures_are_all_listed(make_run: MakeRun) -> None:
    statuses = [
        "unsupported",
        "not_installed",
        "refused",
        "failed",
        "killed",
        "timeout",
        "interrupted",
    ]
    bad = [
        measurement(
            "hf_tf",
            "imdb",
            "throughput",
            suffix=f"-{s}",
            status=s,
            reason=f"because of {s} itself",
            stderr_tail=["line one", f"last of {s}"],
        )
        for s in statuses
    ]
    folder = make_run([*samples.sample_measurements(), *bad])
    (folder / "torn.json").write_text("{")
    for text in both(folder):
        assert "7 of 25 jobs have no figures" in text
        for status in statuses:
            assert f"because of {status} itself" in text and f"last of {status}" in text
        assert "torn.json" in text


def test_a_run_in_which_nothing_worked_still_has_a_report(make_run: MakeRun) -> None:
    markdown = words(
        make_run(
            [
                measurement(
                    "hf_tf",
                    "imdb",
                    "throughput",
                    status="not_installed",
                    reason="tensorflow is missing",
                    data=None,
                    checkpoint=None,
                    effective=None,
                )
            ]
        )
    )
    assert "**imdb**: No job gave figures" in markdown and "tensorflow is missing" in markdown


def test_an_empty_run_and_one_without_its_info(make_run: MakeRun, tmp_path: Path) -> None:
    assert "Fine-tuning compared" in words(make_run([]))
    bare = tmp_path / "bare"
    bare.mkdir()
    store.write_measurement(bare, samples.sample_measurements()[0])
    assert "bare" in words(bare)


def test_evaluation_alone_has_no_training_speed() -> None:
    timed = samples.throughput(1.0).model_copy(update={"windows": []})
    m = measurement("hf_tf", "imdb", "throughput", throughput=timed)
    row = next(line for line in table([m], TITLES).splitlines() if line.startswith("imdb  "))
    assert row.count("not run") == 3 and " ok " not in row


def test_a_diverged_loss_leaves_a_hole_in_its_curve(make_run: MakeRun) -> None:
    a = samples.accuracy("imdb", 0.5, 1.0)
    curve = [replace(p, loss=float("nan")) if 40 < p.step < 80 else p for p in a.curve[:100]]
    m: Measurement = measurement(
        "hf_tf", "imdb", "accuracy", accuracy=a.model_copy(update={"curve": curve})
    )
    loss = next(f for f in figures(make_run([m])) if f.title.startswith("Training loss"))
    values = [row["value"] for row in drawn(loss, "line")[:100]]
    assert values.count(None) == 39 and all(v is None for v in values[40:79])
    assert svg(loss.chart).count("M") > 2 and "NaN" not in svg(loss.chart)
