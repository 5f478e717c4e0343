"""The report says what was measured, how it came about, and what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from results import store
from results.analysis.reference import published_scores
from results.report import as_markdown, render, table
from results.schema import Tuning
from tests.results import samples
from tests.results.samples import measurement
from tests.results.texts import TITLES, MakeRun, both, sections_of, words

pytestmark = pytest.mark.smoke


def test_the_first_screen_answers_before_the_first_section(make_run: MakeRun) -> None:
    measurements = [*samples.sample_measurements(), *samples.controls("hf_tf", "imdb")]
    first = words(make_run(measurements)).split("\n## ")[0]
    assert "**imdb**: TensorFlow is 33." in first
    assert "% faster (" in first and "than PyTorch, in 6 launches. It trained at 0.8" in first
    assert "It used 1.07 GiB and reached 91.2 % on test." in first
    assert "With another model (4.2 M parameters against 22.7 M), Keras LSTM" in first
    assert "Sample processor" in first and "real data, a local copy" in first
    assert "same work: not proven" in first


def test_the_sections_come_in_the_order_of_the_questions(make_run: MakeRun) -> None:
    markdown, html = both(make_run())
    titles = [line[3:] for line in markdown.splitlines() if line.startswith("## ")]
    assert titles == [
        "How fast?",
        "How much memory?",
        "How accurate?",
        "How this compares with published figures",
        "What was run",
    ]
    assert [html.index(f"<h2>{t}</h2>") for t in titles] == sorted(
        html.index(f"<h2>{t}</h2>") for t in titles
    )


def test_a_question_that_was_not_asked_has_no_section(make_run: MakeRun) -> None:
    only_speed = [m for m in samples.sample_measurements() if m.job.question == "throughput"]
    markdown = words(make_run(only_speed))
    assert "## How fast?" in markdown
    assert "## How much memory?" not in markdown and "## How accurate?" not in markdown


def test_the_same_measurements_give_the_same_bytes(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run()
    for out in ("one", "two"):
        (tmp_path / out).mkdir()
        render([folder], tmp_path / out)
    for name in ("report.md", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_generated_text_is_said_wherever_its_figures_stand(make_run: MakeRun) -> None:
    generated = [
        m.model_copy(update={"data": samples.data(m.job.task, generated=True)})
        for m in samples.sample_measurements()
    ]
    markdown, html = both(make_run(generated))
    for title, section in sections_of(markdown).items():
        if title == "What was run":  # shows no figures
            continue
        assert "generated data" in section.lower(), title
    assert "these accuracies say nothing about real text" in html
    assert "published figures" not in markdown and "bert-base" not in markdown


def test_every_section_says_how_its_figures_came_about(make_run: MakeRun) -> None:
    sections = sections_of(words(make_run()))
    for title in ("How fast?", "How much memory?", "How accurate?"):
        text = sections[title]
        for label in (
            "Measured",
            "real data, a local copy",
            "Sample processor",
            "fp32",
            "seed 42",
            "torch 2.13.0",
            "pytest benchmarks --benchmark-only",
            "not proven",
        ):
            assert label in text, (title, label)


def test_noisy_and_disturbed_rows_are_marked(make_run: MakeRun) -> None:
    rates = (1.0, 1.3, 0.8, 1.4, 0.7, 1.2)
    shaky = samples.throughput(1.0).model_copy(
        update={
            "windows": [samples.window(v, i, other_busy_share=0.4) for i, v in enumerate(rates)]
        }
    )
    markdown = words(make_run([measurement("hf_tf", "imdb", "throughput", throughput=shaky)]))
    assert "noisy, disturbed" in markdown
    assert "the interval is wider than 10 % of the speed" in markdown
    assert "in 6 of 6 windows" in markdown


def test_the_races_of_a_tuning_stand_in_its_own_section_only(make_run: MakeRun) -> None:
    races = [
        measurement(
            "hf_tf",
            "imdb",
            "throughput",
            throughput=samples.throughput(speed),
            suffix=f"-{race}-{side}",
            environment={"OMP_NUM_THREADS": threads},
        )
        for race, threads in (("01_again", "2"), ("02_1_of_2_threads", "1"))
        for side, speed in (("first", 1.0), ("second", 1.1))
    ]
    folder = make_run(races)
    unfinished = words(folder)
    for threads in "12":  # never put together
        assert f"**imdb, OMP_NUM_THREADS={threads}**" in unfinished.split("\n## ")[0]
    store.write_record(
        folder / store.TUNING_FILE,
        Tuning(
            backend="hf_tf",
            task="imdb",
            plain_recipe=samples.RECIPE,
            levers=[],
            tuned_fields={},
            tuned_environment={},
            steps=[],
            dropped=[],
            gain=None,
            gain_low=None,
            gain_high=None,
            accuracy=None,
            no_accuracy=None,
            plain_matmul_share=0.34,
            tuned_matmul_share=None,
        ),
    )
    markdown = words(folder)
    assert "## How fast can it be made?" in markdown and "## How fast?" not in markdown
    assert "It reaches 34% of the matrix multiplication rate." in markdown
    assert "OMP" not in markdown.split("## How fast can it be made?")[0]
    first = markdown.split("\n## ")[0]
    assert "**imdb, TensorFlow, tuned**: No lever made the plain recipe" in first


def test_what_is_too_close_has_no_winner(make_run: MakeRun) -> None:
    level = [
        measurement(b, "imdb", "throughput", throughput=samples.throughput(1.0, seed))
        for seed, b in zip((0, 2), ("hf_tf", "hf_torch"), strict=True)
    ]
    markdown = words(make_run(level))
    assert " are equally fast to within 5 %, in 6 launches (" in markdown
    assert "% faster" not in markdown and "**1.0" not in markdown


def test_a_race_with_unequal_threads_says_so_and_names_no_winner(make_run: MakeRun) -> None:
    """Also on the terminal, and what of the shell did not reach the workers is in the settings."""
    made = samples.sample_measurements(("imdb",))
    threads = {"hf_torch": 1, "hf_tf": 2}
    unequal = [
        m.model_copy(update={"effective": {**m.effective, "threads": threads[m.job.backend]}})
        if m.effective and m.job.backend in threads
        else m
        for m in made
    ]
    left_out = ["OMP_NUM_THREADS", "SLURM_* (5 variables)"]
    folder = make_run(unequal, samples.run_info().model_copy(update={"left_out": left_out}))
    for text in (*both(folder), table(unequal)):
        words = " ".join(text.split())
        assert "no speeds are compared, because they computed with different numbers" in words
        assert "% faster" not in words
    markdown = both(folder)[0]
    assert "left out of the workers' environment: OMP_NUM_THREADS" in markdown


def test_several_runs_stand_side_by_side(make_run: MakeRun, tmp_path: Path) -> None:
    first = make_run()
    second = make_run(
        [m.model_copy(update={"device": samples.GPU}) for m in samples.sample_measurements()],
        samples.run_info("on-a-gpu", samples.GPU),
    )
    text = as_markdown([first, second])
    assert "| run " in text and "**imdb (on-a-gpu)**: " in text and "Sample GPU" in text
    assert "| run " not in sections_of(words(first))["How fast?"]


def test_a_run_goes_by_its_folder_which_may_have_a_better_name(
    make_run: MakeRun, tmp_path: Path
) -> None:
    folder = make_run()
    for name in ("one/speed", "two/speed", "two/memory"):
        shutil.copytree(folder, tmp_path / name)
    folders = [tmp_path / name for name in ("one/speed", "two/speed", "two/memory")]
    text = as_markdown(folders)
    assert text.startswith("# Fine-tuning compared: one/speed, two/speed, memory\n")
    for run in ("one/speed", "two/speed", "memory"):
        assert f"**imdb ({run})**: " in text


def test_published_figures_stand_beside_real_data_with_reasons(make_run: MakeRun) -> None:
    section = sections_of(words(make_run()))["How this compares with published figures"]
    assert "94.07" in section and "distilbert-base-uncased" in section
    assert "length 256, 1 epoch, 22.7 M parameters" in section
    assert "5,000 to 25,000 training examples" in section and "67 to 124 M parameters" in section
    assert "starting weights minilm" in section


def test_every_published_row_is_complete() -> None:
    for row in published_scores():
        assert row.source and row.scores and all(0.5 < v < 1 for v in row.scores.values())


def test_the_terminal_table_is_aligned_and_plain() -> None:
    lines = table(samples.sample_measurements(), TITLES).splitlines()
    assert lines[0].startswith("imdb: TensorFlow is 33.")
    assert lines[-1] == "(same work: not proven)" and all(len(line) <= 100 for line in lines)
    head = next(i for i, line in enumerate(lines) if line.startswith("task  backend"))
    rows = [line for line in lines[head + 2 : -1] if line[0] != " "]  # a note has its own line
    assert len(rows) == 6
    assert "TensorFlow" in rows[0] and " 0.819 " in rows[0]
    assert "[\u00b1 0.00" in lines[head + 3] and "\u00b1 1.2]" in lines[head + 3]
    assert "\x1b" not in table(samples.sample_measurements(), TITLES)
    assert table([]) == "nothing was measured"


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_a_report_that_cannot_be_written(make_run: MakeRun, tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    with pytest.raises(store.StoreError, match=name):
        render([make_run()], tmp_path / "out")
