"""Predictions: read from a run, compared with measurements, and shown with their errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from results import store
from results.analysis.predictions import Share, error_of, errors, is_inside, judge
from results.report import as_markdown, render
from results.report.charts.chart import PAGE
from results.report.charts.lines import SHAPES
from results.report.sections.predictions import sentence
from results.report.view import Run, View
from results.schema import PredictionCase
from tests.results import sample_limits
from tests.results.charts import drawn, figures
from tests.results.sample_limits import case, limit_case, prediction

pytestmark = pytest.mark.once
MakeRun = Callable[..., Path]
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}


def words(folder: Path) -> str:
    return as_markdown([folder], TITLES)


def both(folder: Path) -> tuple[str, str]:
    paths = render([folder], titles=TITLES)
    return words(folder), paths.html.read_text("utf-8")


def section(markdown: str) -> str:
    return markdown.split("\n## How far can predictions be trusted?", 1)[1].split("\n## ", 1)[0]


def test_errors_are_signed_and_the_worst_is_the_farthest() -> None:
    e = errors([case(0.01), case(-0.05), case(0.02)])
    assert e.median == pytest.approx(0.02) and e.worst == pytest.approx(-0.05)
    assert e.lean == pytest.approx(0.01) and e.cases == 3
    assert e.within_step is None and e.broken is None


def test_limits_count_steps_and_broken_promises() -> None:
    """What is promised is 2 less than what is predicted."""
    e = errors([limit_case(40), limit_case(43), limit_case(37)])
    assert e.within_step == Share(1, 3) and e.broken == Share(1, 3) and e.worst_steps == 3
    assert e.worst == pytest.approx(3 / 40) and e.undecided == 0
    assert e.cost == pytest.approx(2 / 40)  # the promises were 38, 41 and 35


@pytest.mark.parametrize(
    ("predicted", "verdict", "error"),
    [
        (63, "too low", -1 / 64),
        (64, "right", 0.0),
        (100, "undecided", None),
        (127, "undecided", None),
        (128, "too high", 1.0),
    ],
)
def test_between_what_fitted_and_what_failed_nothing_is_known(
    predicted: float, verdict: str, error: float | None
) -> None:
    case_ = limit_case(predicted, 64, fails_at=128)
    assert judge(case_) == verdict and error_of(case_) == error
    assert errors([case_]).undecided == (verdict == "undecided")


@pytest.mark.parametrize(
    ("promise", "broken"), [(60, Share(0, 1)), (64, Share(0, 1)), (100, None), (128, Share(1, 1))]
)
def test_a_promise_is_broken_where_it_failed(promise: float, broken: Share | None) -> None:
    assert errors([limit_case(128, 64, fails_at=128, low=promise)]).broken == broken


@pytest.mark.parametrize(
    ("predicted", "verdict"), [(1023, "too low"), (1024, "right"), (5000, "right")]
)
def test_where_nothing_failed_only_less_is_wrong(predicted: float, verdict: str) -> None:
    case_ = limit_case(predicted, 1024, fails_at=None)
    assert judge(case_) == verdict and errors([case_]).broken == Share(0, 1)
    assert (errors([case_]).median or 0) == pytest.approx(max(0, 1024 - predicted) / 1024)


@pytest.mark.parametrize(
    ("case_", "expected"),
    [
        (case(0.01), True),
        (case(0.06), False),
        (case(-0.06), False),
        (limit_case(41), True),
        (limit_case(43), False),
        (limit_case(37), False),
        (limit_case(5000, 1024, fails_at=None), True),
        (limit_case(1023, 1024, fails_at=None), True),
        (limit_case(1000, 1024, fails_at=None), False),
    ],
)
def test_what_was_found_lies_in_the_range_or_not(case_: PredictionCase, expected: bool) -> None:
    assert is_inside(case_) is expected and errors([case_]).inside == Share(expected, 1)


@pytest.mark.parametrize(
    ("predicted", "measured"),
    [(1.0, 0.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1e300, 1e-300)],
)
def test_an_error_that_is_no_number_is_none(predicted: float, measured: float) -> None:
    odd = limit_case(40).model_copy(update={"predicted": predicted, "measured": measured})
    assert error_of(odd) is None and errors([odd]).median is None


def test_what_is_written_is_read(make_run: MakeRun) -> None:
    folder = make_run([])
    assert store.read_predictions(folder) == ([], [])
    assert store.read_prediction_cases(folder) == ([], [])
    sample_limits.write_predictions(folder, [prediction()], sample_limits.sample_cases())
    assert store.read_predictions(folder) == ([prediction()], [])
    assert store.read_prediction_cases(folder) == (sample_limits.sample_cases(), [])
    assert store.read_run(folder)[1:] == ([], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "not a list"),
        ("null", "null"),
        ("3", "not a list"),
        ('["x"]', "case 1: damaged"),
        ("[{}]", "case 1: damaged: backend"),
        ("[1" + "0" * 400 + "]", "beyond 64 bits"),
        ("[NaN]", "case 1: damaged"),
    ],
)
def test_a_damaged_list_of_cases_is_reported(make_run: MakeRun, content: str, message: str) -> None:
    folder = make_run([])
    (folder / store.CASES_FILE).write_text(content)
    found, problems = store.read_prediction_cases(folder)
    assert found == [] and len(problems) == 1 and message in problems[0]
    assert "prediction_cases.json" in words(folder)


def test_many_damaged_cases_are_told_in_one_line(make_run: MakeRun) -> None:
    folder = make_run([])
    (folder / store.CASES_FILE).write_text("[{}, {}, {}]")
    found, problems = store.read_prediction_cases(folder)
    assert found == [] and len(problems) == 1
    assert "case 1: damaged: backend" in problems[0] and problems[0].endswith("and 2 cases more")


@pytest.mark.parametrize("content", ["{", "null", "[]", '{"schema_version": 9}', '"x"'])
def test_a_damaged_prediction_is_told_and_the_others_are_kept(
    make_run: MakeRun, content: str
) -> None:
    folder = make_run([])
    sample_limits.write_predictions(folder, [prediction()])
    (folder / store.PREDICTIONS / "torn.json").write_text(content)
    found, problems = store.read_predictions(folder)
    assert found == [prediction()] and len(problems) == 1 and "torn.json" in problems[0]
    assert "torn.json" in words(folder)


def test_the_plain_sentence() -> None:
    view = View.of([Run("r", None, None, [], [])], TITLES)
    assert sentence(view, prediction(checkpoint="bert-base", length=512)) == (
        "bert-base, fp32, training, length 512, PyTorch: about 80 on a T4 (76 to 83), 226 on an "
        "A100-40 (216 to 235), 460 on an H100 (441 to 478)"
    )


def test_what_a_budget_rests_on_is_told_below_the_grid(make_run: MakeRun) -> None:
    folder, made = make_run([]), prediction()
    noted = [
        limit.model_copy(update={"note": "no reading of its CUDA context"})
        if limit.target != "T4"
        else limit
        for limit in made.limits
    ]
    sample_limits.write_predictions(folder, [made.model_copy(update={"limits": noted})])
    grid = words(folder).split("\n## What is the largest batch?", 1)[1].split("\n## ", 1)[0]
    assert "A100-40 and H100: no reading of its CUDA context." in grid


def test_a_run_of_predictions_alone_has_a_report(make_run: MakeRun) -> None:
    folder = make_run([])
    sample_limits.write_predictions(
        folder, [prediction(b, n) for b in ("hf_tf", "hf_torch") for n in (128, 512)]
    )
    markdown, html = both(folder)
    first = markdown.split("\n## ")[0]
    assert "**minilm, fp32, training, length 512**: The largest batch on a T4 is about " in first
    assert "(predicted)" in first and "(measured)" not in first
    assert "Predicted: nothing was trained." in markdown
    assert 'class="n predicted"' in html


def test_the_goals_are_held_to_and_a_miss_is_said(make_run: MakeRun) -> None:
    folder = make_run([])
    sample_limits.write_predictions(
        folder, [], [case(0.01), case(-0.012), case(0.07), limit_case(40), limit_case(44)]
    )
    text = section(words(folder))
    assert (
        "**How far off**: the predicted peak was 1.2 % off in the median of 3 measured cases (goal at most "
        "1.6 %: met) and +7.0 % at worst (goal at most 5.0 %: missed); 1 of 2 predicted limits were within "
        "one step of the search (goal at least 95.0 %: missed), the worst +10.0 % off; 1 of 2 batches "
        "promised to fit failed (goal at most 2.0 %: missed). No predicted limit was checked by training "
        "on a GPU."
    ) in text


def test_fitted_and_published_cases_are_counted_separately(make_run: MakeRun) -> None:
    folder = make_run([])
    sample_limits.write_predictions(folder, [], sample_limits.sample_cases())
    text = section(words(folder))
    assert (
        "on 96 cases that the prediction was not fitted to (2 backends, 3 architectures, 4 "
        "lengths, 2 precisions)" in text
    )
    published = text.split("Compared with published figures")[1].split("\n\n")[1]
    assert len(published.splitlines()) == 3 and "BERT's README" in published
    fitted = text.split("The cases that the prediction was fitted to")[1]
    assert fitted.count("fp32") == 2
    assert "(too high)" in text and "(too low)" in text


def test_other_conditions_are_shown_and_not_counted(make_run: MakeRun) -> None:
    folder = make_run([])
    away = case(9.0, source="a paper", conditions="weights in fp16")
    sample_limits.write_predictions(folder, [], [case(), away])
    text = section(words(folder))
    assert "a paper (other conditions: weights in fp16)" in text and "+900.0" in text
    counts = text.split("Signed error")[1].split("\n\n")[1]
    assert "+900.0" not in counts and "published" not in counts


@pytest.mark.parametrize(("fails_at", "said"), [(None, "at least 1,024"), (1072, "1,072 fails")])
def test_a_lower_bound_is_called_one(make_run: MakeRun, fails_at: int | None, said: str) -> None:
    folder = make_run([])
    sample_limits.write_predictions(folder, [], [limit_case(1024, 1024, fails_at=fails_at)])
    assert said in section(words(folder))


@pytest.mark.parametrize(
    "title", ["How far can predictions be trusted?", "What is the largest batch?"]
)
@pytest.mark.parametrize("assumed", [True, False])
def test_an_assumed_range_is_no_interval(make_run: MakeRun, title: str, assumed: bool) -> None:
    folder = make_run([])
    sample_limits.write_predictions(folder, [prediction(assumed=assumed)])
    text = words(folder).split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]
    assert ("assumed 308 to 333" in text or "the ranges are assumed" in text) is assumed


def test_each_kind_of_case_has_a_shape_of_its_own(make_run: MakeRun) -> None:
    folder = make_run([])
    sample_limits.write_predictions(folder, [], sample_limits.sample_cases())
    shown = figures(folder)
    for shape, number, legends in (("dot", 96, 4), ("ring", 2, 2), ("square", 1, 1)):
        how = {"shape": SHAPES[shape], "fill": PAGE} if shape == "ring" else {"filled": True}
        points = [p for f in shown for p in drawn(f, "point", **{"shape": SHAPES[shape], **how})]
        assert len(points) == number, shape
        assert sum(item.mark == shape for f in shown for item in f.legend) == legends, shape


def test_nothing_measured_is_said(make_run: MakeRun) -> None:
    folder = make_run([])
    sample_limits.write_predictions(folder, [], [case(fitted=True)])
    assert "Every case that was measured here is one that the prediction was fitted to." in words(
        folder
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"measured": 0.0},
        {"predicted": math.nan},
        {"predicted": 1e308, "measured": 1e-9},
        {"measured": 1e308, "predicted": 1.1e308},
        {"measured": 1e-5, "predicted": -1e302},
    ],
)
def test_odd_numbers_still_make_a_report(make_run: MakeRun, changes: dict[str, float]) -> None:
    folder = make_run([])
    odd = [c.model_copy(update=changes) for c in (case(), limit_case(40))]
    sample_limits.write_predictions(folder, [], odd)
    assert "Judged" in both(folder)[1]


def test_a_prediction_with_an_odd_recipe(make_run: MakeRun) -> None:
    folder = make_run([])
    sample_limits.write_predictions(
        folder,
        [
            prediction(recipe={"length": "x", "precision": ["y"]}),
            prediction(recipe={}, limits=[], parts={}),
        ],
    )
    text = section(words(folder))
    assert "length 0, PyTorch: about 321 on a T4" in text and text.count("on a T4") == 1
