"""Runs of one machine are merged by question, and the pages hold every figure."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.cli.report import price
from benchmarks.harness.errors import UserError
from benchmarks.harness.machine.gpu_types import gpu_types
from results.analysis.cost import Price, UnknownMachine, cost
from results.analysis.reference import published_speeds
from results.report import write_site
from results.report.charts import Bar, bars, draw
from results.report.document import Figures, Paragraph, Table
from results.report.load import read_runs
from results.report.sections.accuracy.targets import target_blocks
from results.report.site import answers
from results.report.view import View
from results.schema import Measurement, RunInfo
from tests.results import sample_limits, samples
from tests.results.analysis.test_scores import trained
from tests.results.many import many_runs
from tests.results.samples import measurement

pytestmark = pytest.mark.once
MakeRun = Callable[..., Path]
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}


def of(question: str, task: str = "imdb") -> list[Measurement]:
    return [m for m in samples.sample_measurements((task,)) if m.job.question == question]


def info(run: str, day: int) -> RunInfo:
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
    assert "**imdb**: TensorFlow is 33." in text and len(text.splitlines()) < 120
    pictures = [f for f in files if f.suffix == ".svg"]
    assert len(pictures) == 6
    for picture in pictures:
        assert f"]({picture.relative_to(tmp_path / 'out')})" in text
        assert "var(" not in picture.read_text("utf-8")


def test_equal_accuracy_is_on_the_home_and_cards_with_a_speed_come_first(
    make_run: MakeRun, tmp_path: Path
) -> None:
    labels = np.array([0, 1] * 200)
    kept = [e for b in ("hf_tf", "hf_torch") for e in trained(tmp_path, b, [9] * 6, labels)]
    scored = [e.measurement for e in kept]
    scored = [m.model_copy(update={"recipe": m.recipe | {"length": 64}}) for m in scored]
    timed = make_run([*of("throughput"), *of("throughput", "mnli")], info("speed", 20))
    # A merged run keeps its own margin.
    about = info("accuracy", 21).model_copy(update={"accuracy_margin": 0.02})
    run = make_run(scored, about)
    for predictions in tmp_path.glob("*.npz"):
        predictions.rename(run / predictions.name)
    home, *_ = write_site([run, timed], tmp_path / "out", TITLES)
    text = home.read_text("utf-8")
    assert "equally accurate to within 2 points<" in text
    assert "TensorFlow minus PyTorch: +0.0 points" in text
    view = merged(run, timed)
    made = [(view.head(rows[0].comparison), bool(rows[0].speed)) for rows in view.comparisons]
    assert made == [("imdb, length 256", True), ("imdb, length 64", False), ("mnli", True)]


@pytest.mark.parametrize(("target", "reached"), [(0.5, True), (0.85, False)])
def test_a_merged_run_keeps_its_target(make_run: MakeRun, target: float, reached: bool) -> None:
    about = samples.run_info("aimed").model_copy(update={"target_accuracies": {"imdb": target}})
    view = merged(make_run(of("accuracy"), about))
    *figures, _, table = target_blocks(view, view.comparisons)
    assert isinstance(table, Table)
    assert {row[1].text: row[4].text for row in table.rows} == {
        "PyTorch": "1 of 1",
        "TensorFlow": "1 of 1",
        "Keras LSTM": "1 of 1" if reached else "0 of 1",
    }
    # A chart of those that reached it would flatter them.
    titles = [one.title for block in figures if isinstance(block, Figures) for one in block.items]
    assert titles == (["Training until 50.0 % on test: imdb"] if reached else [])


def test_conclusions_that_people_wrote_are_on_the_home_and_in_the_readme(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run()
    (run.parent / "NOTES.md").write_text(
        "# Notes\n\n## Conclusions\n\n**batch**: a larger `batch`\nis *steadier*.\n\nNo subject here.\n\n"
        "## Commands\n\nnot a conclusion\n"
    )
    files = write_site([run], tmp_path / "out", TITLES)
    home, readme = files[0].read_text("utf-8"), files[-1].read_text("utf-8")
    machine = run.parent.name
    assert f"**batch ({machine})**: a larger batch is \\*steadier\\*." in readme
    assert f"**{machine}**: No subject here." in readme
    assert "a larger batch is *steadier*." in home and "not a conclusion" not in home + readme


def test_the_page_of_studies_begins_with_what_was_concluded(make_run: MakeRun) -> None:
    m = of("accuracy")[0]
    changed = m.model_copy(update={"job": m.job.model_copy(update={"change": "half"})})
    run = make_run([changed], samples.run_info("batch"))
    (run.parent / "NOTES.md").write_text(
        "## Conclusions\n\n**batch**: it is steadier.\n\n**other**: of no study.\n"
    )
    (found,) = answers.studies(merged(run))
    assert isinstance(found, Paragraph) and found.text == "it is steadier."


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
    """10 seconds and 300 MB on an idle machine; the limits here leave room for others."""
    folders, out = many_runs(tmp_path, 200), tmp_path / "out"
    code = (
        "import os, sys; from pathlib import Path; from results.report import write_site; "
        "write_site([Path(p) for p in sys.argv[2:]], Path(sys.argv[1])); "
        "print(sum(os.times()[:4])); print(Path('/proc/self/status').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, out, *folders], capture_output=True, text=True, check=True
    )
    cpu_seconds, status = done.stdout.split("\n", 1)
    # Not ru_maxrss, which begins with the memory of the process that started this one.
    peak_kib = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert len(list(out.glob("run-*.html"))) == 200
    words = sorted(out.glob("run-*.html"))[0].read_text("utf-8")
    assert "<figure>" in words and '<p class="small">hf_tf 0.' in words, "no pictures in so many"
    assert float(cpu_seconds) < 30
    assert peak_kib and int(peak_kib[1]) < 400 * 1024


def test_charts_that_differ_in_data_alone_are_compiled_once() -> None:
    draw._compiled.cache_clear()
    one, two = (draw.vega(bars([Bar("PyTorch", v, str(v), 0)], "steps/s")) for v in (1.0, 2.0))
    assert draw._compiled.cache_info().misses == 1
    for found, value in ((one, 1.0), (two, 2.0)):
        assert [row["value"] for d in found["data"] for row in d.get("values", [])] == [value]


def test_the_speed_page_says_the_verdict_once(make_run: MakeRun, tmp_path: Path) -> None:
    write_site([make_run(of("throughput"))], tmp_path / "out", TITLES)
    text = (tmp_path / "out" / "speed.html").read_text("utf-8")
    assert text.count("TensorFlow is 33.") == 1


def test_rows_with_doubts_are_summed_up_next_to_their_table(
    make_run: MakeRun, tmp_path: Path
) -> None:
    rates = (1.0, 1.3, 0.8, 1.4, 0.7, 1.2)
    shaky = samples.throughput(1.0).model_copy(
        update={"windows": [samples.window(v, i) for i, v in enumerate(rates)]}
    )
    found = [measurement("hf_tf", "imdb", "throughput", throughput=shaky), *of("throughput")[1:]]
    write_site([make_run(found)], tmp_path / "out", TITLES)
    text = (tmp_path / "out" / "speed.html").read_text("utf-8")
    assert "1 of 3 rows is noisy" in text


def test_published_speeds_are_of_known_gpu_types_and_have_a_ratio() -> None:
    for published in published_speeds():
        assert set(published.gpus) <= set(gpu_types()) and len(published.gpus) > 1
        assert min(f.samples_per_second for f in published.gpus.values()) == published.slowest


def test_the_cost_is_hours_and_with_a_price_money(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run([*of("throughput"), *of("accuracy")])
    (rows,) = merged(folder).comparisons
    name = samples.CPU.name
    found = cost(rows[1], {name: Price(0.5, "EUR")})
    assert found and found.row.speed and found.price == Price(0.5, "EUR")
    rate = found.row.speed.training.samples_per_second
    assert found.epoch_hours == pytest.approx(10_000 / rate / 3600)
    assert found.interval and found.interval.low < found.epoch_hours < found.interval.high
    write_site([folder], tmp_path / "out", TITLES)
    assert f"--price &#39;{name}=0.35 EUR" in (tmp_path / "out" / "cost.html").read_text("utf-8")
    write_site([folder], tmp_path / "out", TITLES, {name: Price(1000, "EUR")})
    assert " EUR)" in (tmp_path / "out" / "cost.html").read_text("utf-8")


def test_a_price_of_another_machine_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(
        UnknownMachine, match="'T4': no run here was measured on it: use one of Sample processor"
    ):
        write_site([make_run()], tmp_path / "out", TITLES, {"T4": Price(1, "")})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["T4", "T4=", "T4=free", "T4=0 EUR", "T4=-1", "=1", "T4=nan"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="write NAME=AMOUNT"):
        price(text)
    assert price("T4 = .35 EUR") == ("T4", Price(0.35, "EUR"))


def test_controls_are_listed_under_their_machine(make_run: MakeRun, tmp_path: Path) -> None:
    raced = [*of("throughput"), *samples.controls("hf_torch", "imdb")]
    other = [m.model_copy(update={"device": samples.GPU}) for m in of("memory")]
    write_site(
        [make_run(raced, info("race", 20)), make_run(other, samples.run_info("gpu", samples.GPU))],
        tmp_path / "out",
    )
    text = (tmp_path / "out" / "speed.html").read_text("utf-8")
    clock = text[text.index('<section id="clock">') :].partition("<details>")[0]
    assert "Sample processor" in clock and ">race<" not in clock


def test_pictures_that_the_readme_no_longer_shows_are_removed(
    make_run: MakeRun, tmp_path: Path
) -> None:
    """Those of an earlier call, and no other file."""
    out = tmp_path / "out"
    write_site([make_run()], out, TITLES)
    pictures = set((out / "charts").iterdir())
    own = out / "charts" / "99-drawn-by-hand.svg"
    own.write_text("<svg/>")
    write_site([make_run(of("throughput"), info("later", 21))], out, TITLES)
    assert own.is_file() and len(set((out / "charts").iterdir()) & pictures) < len(pictures)


def test_the_home_says_in_short_who_is_faster_and_what_fits(
    make_run: MakeRun, tmp_path: Path
) -> None:
    raced = [*of("throughput"), *of("throughput", "mnli")]
    folder = make_run([*raced, sample_limits.limit_measurement("hf_torch")])
    sample_limits.write_predictions(folder, [sample_limits.prediction()])
    home, *_ = write_site([folder], tmp_path / "out", TITLES)
    text = " ".join(home.read_text("utf-8").split())
    short = text[text.index("Training speed, in short") : text.index("<article")]
    assert short.count("TensorFlow: 33.") == 2 and short.count("% faster (") == 2
    assert "than PyTorch" in short and "not proven" in short
    fits = text[text.index('<section id="fits"') :].partition("</section>")[0]
    assert "Measured: imdb, minilm, fp32, training, length 128" in fits
    assert "Predicted, nothing was trained there: minilm, fp32, training, length 128" in fits
    assert ">T4<small>1" in fits and "321<small>308 to 333</small>" in fits
