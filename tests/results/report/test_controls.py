"""How the report shows overheads, A/A pairs and doubts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from results.analysis.controls import noise_pairs
from results.analysis.speed import speed_ratio
from results.report import as_markdown, table
from results.schema import Measurement, Throughput
from tests.results import samples
from tests.results.races import TITLES, entries, speeds, timed
from tests.results.samples import measurement, window


def report(make_run: Callable[..., Path], measurements: Sequence[Measurement]) -> str:
    return as_markdown([make_run(measurements)], TITLES)


def speed_section(markdown: str) -> str:
    return markdown.split("## How fast?")[1].split("\n## ")[0]


def test_the_report_shows_overhead_and_pair_and_no_control_as_a_backend(
    make_run: Callable[..., Path],
) -> None:
    plain = samples.sample_measurements(("imdb",))
    markdown = report(make_run, [*plain, *samples.controls("hf_tf", "imdb")])
    section = markdown.split("## Can the clock be trusted?")[1].split("\n## ")[0]
    assert "Overhead of the framework's own loop" in section and "TensorFlow" in section
    assert "The same backend against itself" in section
    assert "disturbed" in section
    above = markdown.split("## Can the clock be trusted?")[0]
    assert "control" not in above and "bare" not in above
    rows = [line for line in speed_section(markdown).splitlines() if line.startswith("| imdb")]
    assert len([row for row in rows if "TensorFlow" in row]) == 2 + 18  # two tables, all rounds
    assert "A/A pair: imdb: TensorFlow against itself" in markdown.split("\n## ")[0]


RACE = [
    timed("hf_tf", [1.04, 1.05, 1.03, 1.04, 1.05, 1.03], rounds=1),
    timed("hf_torch", [1.0, 1.01, 0.99, 1.0, 1.01, 0.99], rounds=1),
]


def test_a_winner_is_named_with_its_interval(make_run: Callable[..., Path]) -> None:
    markdown = report(make_run, RACE)
    first = markdown.split("\n## ")[0]
    assert "TensorFlow is 4.0 % faster (" in first and "in 6 launches" in first
    section = speed_section(markdown)
    assert "of 1 race, expect at most 0.05" in section and "these winners stay: imdb." in section
    assert ", one launch" not in markdown


def test_one_launch_says_so_and_names_no_winner_below_its_lead(
    make_run: Callable[..., Path],
) -> None:
    values = [1.0, 1.01, 0.99] * 3
    slow = timed("hf_torch", values)
    close = report(make_run, [timed("hf_tf", [1.04 * v for v in values]), slow])
    first = close.split("\n## ")[0]
    assert "Which of TensorFlow and PyTorch is faster cannot be told with one launch of 9" in first
    assert "One launch needs an interval that lies above 1.05 to name a winner" in first
    assert "% faster" not in close and "**1.04" not in close and ", one launch)" in first
    far = table([timed("hf_tf", [1.2 * v for v in values]), slow], TITLES)
    assert "TensorFlow is 20.0 % faster (20.0 to 20.0 %) than PyTorch, in one" in far


def test_what_was_not_raced_together_has_no_ratio_and_no_winner(
    make_run: Callable[..., Path],
) -> None:
    """As two environments leave it that add to one run, one after the other."""
    first = [
        m.model_copy(update={"payload": m.require(Throughput).model_copy(update={"race": "one"})})
        for m in (RACE[1], timed("hf_torch", [1.0] * 6, "repeat", rounds=1))
    ]
    second = timed("hf_tf", [2.0] * 6, race="two", rounds=1)
    markdown = report(make_run, [*first, second])
    assert "no speeds are compared, because they were not raced" in markdown.split("\n## ")[0]
    assert "fastest" not in markdown
    assert " not raced together |" in speed_section(markdown)
    sentence = "imdb: these backends were not all raced together"
    assert sentence in speed_section(markdown) and "'.\\[all\\]'" in speed_section(markdown)
    assert f"({sentence}" in table([*first, second], TITLES)
    assert sentence not in table(RACE, TITLES)


def test_a_pair_that_misses_1_is_flagged_and_vetoes_nothing(make_run: Callable[..., Path]) -> None:
    race = [*RACE, timed("hf_torch", [1.1, 1.08, 1.09, 1.1, 1.08, 1.09], "repeat", rounds=1)]
    markdown = report(make_run, race)
    assert "it misses 1, so this race's intervals may be too narrow" in markdown
    assert "TensorFlow is 4.0 % faster (" in markdown
    text = table(race, TITLES).splitlines()
    assert any(line.startswith("(A/A pair: imdb: PyTorch against itself 0.9") for line in text)


def test_a_throttled_gpu_is_flagged_with_its_reason(make_run: Callable[..., Path]) -> None:
    slow = samples.throughput(1.0).model_copy(
        update={
            "windows": [window(1.0, throttle_reasons=["hardware thermal slowdown"]), window(1.0)]
        }
    )
    markdown = report(
        make_run, [measurement("hf_tf", "imdb", "throughput", throughput=slow, device=samples.GPU)]
    )
    assert "disturbed in 1 of 2 windows: the GPU was slowed: hardware thermal slowdown" in markdown


def test_disturbed_evaluation_and_controls_are_flagged_with_their_reason(
    make_run: Callable[..., Path],
) -> None:
    busy = [window(3.0, i, other_busy_share=0.5 if i == 2 else 0.0) for i in range(6)]
    own, again = timed("hf_tf", [1.0] * 6), timed("hf_tf", [1.0] * 6, "repeat")
    own, again = (
        m.model_copy(update={"payload": m.require(Throughput).model_copy(update={field: busy})})
        for m, field in ((own, "evaluation_windows"), (again, "windows"))
    )
    markdown = report(make_run, [own, again])
    evaluation = speed_section(markdown).split("Evaluation speed")[1]
    assert "3.00 (3.00 to 3.00, one launch, disturbed)" in evaluation
    words = "disturbed in 1 of 6 windows: other work took processor time"
    assert f"imdb, TensorFlow, evaluation: {words}" in speed_section(markdown)
    clock = markdown.split("## Can the clock be trusted?")[1].split("\n## ")[0]
    assert "0.333 (0.333 to 0.333, one launch, disturbed)" in clock
    assert f"imdb, TensorFlow repeated: {words}" in clock


def test_rounds_taken_again_are_counted_and_listed(make_run: Callable[..., Path]) -> None:
    own = timed("hf_tf", [1.0] * 6)
    speed = own.require(Throughput)
    disturbed = window(0.25, 2, other_busy_share=0.5).model_copy(update={"superseded": True})
    windows = [disturbed, *speed.windows]
    own = own.model_copy(update={"payload": speed.model_copy(update={"windows": windows})})
    section = speed_section(report(make_run, [own]))
    assert "imdb, TensorFlow: 1 disturbed rounds were taken again; only the later" in section
    (row,) = [" ".join(line.split()) for line in section.splitlines() if "0.250" in line]
    assert row.endswith("| 1 | 3 | 1.00 | 0.250 |")
    assert "1.00 (1.00 to 1.00, one launch)" in section


def test_the_ratio_of_a_pair_is_the_ratio_of_its_windows() -> None:
    own, again = timed("hf_tf", [1.0, 1.0, 2.0]), timed("hf_tf", [1.1, 1.1, 2.2], "repeat")
    (pair,) = noise_pairs(entries(own, again))
    rows = [
        speeds(m.model_copy(update={"job": m.job.model_copy(update={"role": "framework"})}))
        for m in (own, again)
    ]
    assert pair.ratio == speed_ratio(rows[0][0].training, rows[1][0].training)
