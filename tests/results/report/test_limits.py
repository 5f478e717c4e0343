"""What fits where: grids of limits, and how the report shows them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from results.analysis.limits import Limit, Place, grids, limits_of
from results.report import as_markdown, render, table
from results.report.charts.lines import CROSS
from results.report.sections.limits.grid import place_phrase
from results.report.sections.overview import overview
from results.report.view import Run, View
from results.schema import BatchLimit, Expected, Measurement, Probe
from tests.results import sample_limits, samples
from tests.results.charts import drawn, figures
from tests.results.sample_limits import batch_limit, limit_measurement, prediction
from tests.results.samples import GIB

pytestmark = pytest.mark.once
MakeRun = Callable[..., Path]
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}


def limits(*measurements: Measurement) -> list[Limit]:
    return limits_of("run", measurements)


def words(folder: Path) -> str:
    return as_markdown([folder], TITLES)


def section(markdown: str, title: str = "What is the largest batch?") -> str:
    return markdown.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def line(markdown: str, *words: str) -> str:
    """The first table row that holds all of them."""
    return next(
        row
        for row in markdown.splitlines()
        if row.startswith("|") and all(word in row for word in words)
    )


def test_a_grid_per_task_with_lengths_down_and_places_across() -> None:
    found = grids(
        limits(*sample_limits.limit_measurements()), [prediction(), prediction("hf_tf", 512)]
    )
    assert [grid.work.text for grid in found] == [
        "imdb, minilm, fp32, training",
        "mnli, minilm, fp32, training",
    ]
    first = found[0]
    assert first.rows[:4] == [(64, "hf_tf"), (64, "hf_torch"), (64, "keras_rnn"), (128, "hf_tf")]
    assert [place.name for place in first.places] == [
        "4GiB",
        "6GiB",
        "8GiB",
        "T4",
        "A100-40",
        "H100",
    ]
    assert first.spots[128, "hf_torch", Place("gpu", "T4")].kind == "predicted"
    assert len(first.limits) == 36


@pytest.mark.parametrize(
    ("changes", "grid_count"),
    [
        ({"recipe": {"precision": "bf16"}}, 2),
        ({"recipe": {"accumulation": 4}}, 2),
        ({"recipe": {"attention": "eager"}}, 2),
        ({"recipe": {"optimizer": "adafactor"}}, 2),
        ({"recipe": {"gradient_checkpointing": True}}, 2),
        ({"recipe": {"dropout": 0.0}}, 2),
        ({"recipe": {"optimizer": "adamw", "gradient_checkpointing": False, "dropout": None}}, 1),
        ({"recipe": {"seed": 7}}, 1),
        ({"recipe": {"padding": "longest"}}, 1),
        ({"task": "mnli"}, 2),
        ({"found": batch_limit(phase="evaluation")}, 2),
    ],
)
def test_what_counts_for_memory_splits_grids_and_nothing_else(
    changes: dict[str, object], grid_count: int
) -> None:
    one = limit_measurement(length=256)
    other = limit_measurement(**{"suffix": "-other", **changes})  # type: ignore[arg-type]
    assert len(grids(limits(one, other))) == grid_count


def test_a_prediction_of_another_work_has_a_grid_of_its_own() -> None:
    found = grids(limits(limit_measurement()), [prediction(checkpoint="bert-base")])
    assert [grid.work.text for grid in found] == [
        "imdb, minilm, fp32, training",
        "bert-base, fp32, training",
    ]


def test_a_measurement_outweighs_a_prediction_in_the_same_cell(make_run: MakeRun) -> None:
    emulated = batch_limit(budget="14GiB", emulated=True).model_copy(update={"budget": "T4"})
    m = limit_measurement(found=emulated, device=samples.GPU)
    grid = grids(limits(m), [prediction()])[0]
    spot = grid.spots[128, "hf_torch", Place("gpu", "T4")]
    assert spot.kind == "emulated" and spot.predicted
    folder = make_run([m])
    sample_limits.write_predictions(folder, [prediction()])
    row = line(section(words(folder)), "PyTorch")
    assert f"{emulated.limit} (emulated, predicted 321 (308 to 333))" in row
    assert "905 (predicted, 868 to 941)" in row


def test_the_whole_device_is_named_by_its_type() -> None:
    found = batch_limit().model_copy(update={"budget": "device"})
    on_gpu, on_cpu = (
        limits(limit_measurement(found=found, device=device))[0].place
        for device in (samples.GPU, samples.CPU)
    )
    assert on_gpu == Place("gpu", "SAMPLE") and on_cpu == Place("cpu", "")
    assert [
        place_phrase(p)
        for p in (
            on_gpu,
            on_cpu,
            Place("cpu", "6GiB"),
            Place("gpu", "6GiB"),
            Place("gpu", "A100-40"),
            Place("gpu", "T4"),
        )
    ] == [
        "on an SAMPLE",
        "on the whole machine",
        "within 6 GiB",
        "within 6 GiB of a GPU",
        "on an A100-40",
        "on a T4",
    ]


NONE_FITS = batch_limit(
    limit=0,
    fails_at=1,
    needed_bytes=7 * GIB,
    finders=[],
    probes=[
        Probe(
            batch_size=1,
            outcome="disguised_oom",
            peak_bytes=None,
            steps=0,
            seconds=9.0,
            reason="the process ended without a word",
        )
    ],
)
ALL_FIT = batch_limit(limit=1024, fails_at=None, highest=1024, finders=[])
NOT_FOUND = batch_limit(
    limit=None,
    fails_at=None,
    finders=[],
    probes=[
        Probe(
            batch_size=4,
            outcome="error",
            peak_bytes=None,
            steps=0,
            seconds=9.0,
            reason="labels out of range",
        )
    ],
)


STOPPED = batch_limit(limit=None, fails_at=None, finders=[])


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        (
            NONE_FITS,
            "ok",
            [
                "0: not even one",
                "needs about 7.00 GiB",
                "1 out of memory, reported as another error",
            ],
        ),
        (ALL_FIT, "ok", ["\u2265 1,024", "no failure up to 1,024", "nothing failed"]),
        (
            STOPPED,
            "interrupted",
            ["not found (interrupted, 120 fitted)", "3 fits, 1 out of memory"],
        ),
        (NOT_FOUND, "failed", ["not found (failed)", "labels out of range", "1 failed"]),
    ],
)
def test_ends_of_a_search_that_are_no_bracket(
    make_run: MakeRun, found: BatchLimit, status: str, said: list[str]
) -> None:
    m = limit_measurement(
        found=found, status=status, reason=None if status == "ok" else "labels out of range"
    )
    text = section(words(make_run([m])))
    for word in said:
        assert word in text, word


def test_a_row_without_a_search_says_why(make_run: MakeRun) -> None:
    refused = limit_measurement("hf_tf").model_copy(
        update={
            "payload": None,
            "status": "not_installed",
            "reason": "tensorflow is missing",
            "checkpoint": None,
        }
    )
    markdown = words(make_run([limit_measurement(), refused]))
    assert "not installed" in line(section(markdown), "TensorFlow")
    assert "tensorflow is missing" in section(markdown, "What was not measured")


def test_two_searches_of_one_thing_both_show(make_run: MakeRun) -> None:
    again = limit_measurement(found=batch_limit(limit=110, fails_at=114), suffix="-again")
    text = section(words(make_run([limit_measurement(), again])))
    assert "110 / 120" in text or "120 / 110" in text


def test_every_limit_has_its_line_and_its_row(make_run: MakeRun) -> None:
    folder = make_run(sample_limits.limit_measurements())
    text = section(words(folder))
    shown = [f for f in figures(folder, TITLES) if "length" in f.title]  # not those of finders
    assert len(shown) == 24
    assert sum(len(drawn(f, "rule")) for f in shown) == 72  # budgets
    assert sum(len({row["line"] for row in drawn(f, "line")}) for f in shown) == 72
    assert sum(len(drawn(f, "point", filled=True)) for f in shown) == 24 * 5  # budgets share two
    assert sum(len(drawn(f, "point", shape=CROSS)) for f in shown) == 72
    assert "PyTorch, length 512: 18 within 4 GiB, fails at 19" in text
    row = line(text, "6 GiB", "PyTorch", "128", "enforced by")
    assert "measured (enforced by RLIMIT_DATA)" in row and "3 fits, 1 out of memory" in row
    assert "allocate memory" in text


def test_where_a_search_starts_is_shown_with_its_limit(make_run: MakeRun) -> None:
    """The time that it takes to find the start counts as the search's."""
    start = Expected(limit=131, source="predicted", seconds=900.0)
    m = limit_measurement(found=batch_limit(expected=start))
    text = section(words(make_run([m])))
    assert "enforced by RLIMIT_DATA; searched first near 131 (predicted)" in text
    assert m.batch_limit is not None and m.batch_limit.seconds > 900


def test_a_far_first_guess_does_not_press_the_plot(make_run: MakeRun) -> None:
    found = batch_limit()
    far = Probe(batch_size=4096, outcome="oom", peak_bytes=None, steps=0, seconds=9.0)
    m = limit_measurement(found=found.model_copy(update={"probes": [far, *found.probes]}))
    folder = make_run([m])
    assert "1 probe is beyond the plot" in section(words(folder))
    assert len(drawn(figures(folder)[0], "point", shape=CROSS)) == 1


def test_the_first_screen_answers_and_says_how_it_is_known(make_run: MakeRun) -> None:
    folder = make_run(
        [
            limit_measurement(b, budget=size)
            for b in ("hf_torch", "hf_tf")
            for size in ("4GiB", "6GiB")
        ]
    )
    sample_limits.write_predictions(folder, [prediction()])
    first = words(folder).split("\n## ")[0]
    assert (
        "**imdb, minilm, fp32, training, length 128**: The largest batch within 6 GiB on a CPU is "
        in first
    )
    assert "120 with PyTorch (measured); on a T4, about 321 with PyTorch (predicted)." in first
    assert "no job gave figures" not in first and "medians over windows" not in first


def test_limits_leave_the_other_questions_as_they_are() -> None:
    every = samples.sample_measurements()
    plain, limited = (
        overview(View.of([Run("r", None, None, some, [])], TITLES))
        for some in (every, [*every, *sample_limits.limit_measurements()])
    )
    assert plain == limited


def test_the_terminal_has_the_grid() -> None:
    text = table([limit_measurement(), limit_measurement("hf_tf")], TITLES)
    assert text.splitlines()[0] == "Largest batch: imdb, minilm, fp32, training"
    assert "120 [measured]" in text and text.endswith("(same work: not proven)")


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": -5, "fails_at": -4},
        {"fixed_bytes": math.nan},
        {"bytes_per_example": math.inf},
        {"budget_bytes": 0},
        {"budget": ""},
        {"probes": []},
        {"limit": 2**62, "fails_at": 2**62 + 1},
        {"limit": 0, "fails_at": 0, "highest": 0},
        {"fixed_bytes": 1e308, "bytes_per_example": 1e308},
    ],
)
def test_odd_numbers_still_make_a_report(make_run: MakeRun, changes: dict[str, object]) -> None:
    m = limit_measurement(found=batch_limit().model_copy(update=changes))
    assert "What is the largest batch?" in render([make_run([m])]).html.read_text("utf-8")


def test_a_run_that_searched_for_none_says_nothing_of_it(make_run: MakeRun) -> None:
    assert "largest batch" not in words(make_run())
