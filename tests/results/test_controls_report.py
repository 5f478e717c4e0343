"""How the report shows overheads, noise floors and doubts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from results.analysis.controls import (
    noise_pairs,
)
from results.analysis.speed import speed_ratio
from results.report import table
from results.schema import Throughput
from tests.results import samples
from tests.results.samples import measurement, window
from tests.results.test_controls import TITLES, entries, report, speed_section, speeds, timed


def test_the_report_shows_tax_and_floor_and_no_control_as_a_backend(
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
    assert len([row for row in rows if "TensorFlow" in row]) == 2 + 8  # two tables, eight rounds
    assert "noise floor" in markdown.split("\n## ")[0]


RACE = [
    timed("hf_tf", [1.04, 1.05, 1.03, 1.04, 1.05, 1.03]),
    timed("hf_torch", [1.0, 1.01, 0.99, 1.0, 1.01, 0.99]),
]


def test_beyond_the_noise_a_winner_is_named(make_run: Callable[..., Path]) -> None:
    quiet = timed("hf_torch", [1.0, 1.0, 0.99, 1.01, 1.01, 0.99], "repeat")
    assert "TensorFlow trained fastest" in report(make_run, [*RACE, quiet])


def test_without_a_noise_floor_no_winner_is_named(make_run: Callable[..., Path]) -> None:
    markdown = report(make_run, RACE)
    assert "neither is called faster: no noise floor measured" in markdown.split("\n## ")[0]
    assert "fastest" not in markdown and "**1.04" not in markdown
    assert "1.04 (1.04 to 1.04, no noise floor measured)" in speed_section(markdown)


def test_what_was_not_raced_together_has_no_ratio_and_no_winner(
    make_run: Callable[..., Path],
) -> None:
    """As two environments leave it that add to one run, one after the other."""
    first = [
        m.model_copy(update={"payload": m.require(Throughput).model_copy(update={"race": "one"})})
        for m in (RACE[1], timed("hf_torch", [1.0] * 6, "repeat"))
    ]
    second = timed("hf_tf", [2.0] * 6, race="two")
    markdown = report(make_run, [*first, second])
    assert "neither is called faster: not raced together" in markdown.split("\n## ")[0]
    assert "fastest" not in markdown
    assert " not raced together |" in speed_section(markdown)
    sentence = "imdb: these backends were not all raced together"
    assert sentence in speed_section(markdown) and "'.\\[all\\]'" in speed_section(markdown)
    assert f"({sentence}" in table([*first, second], TITLES)
    assert sentence not in table(RACE, TITLES)


def test_fewer_than_six_rounds_name_no_winner(make_run: Callable[..., Path]) -> None:
    race = [
        timed("hf_tf", [2.0] * 10, each=2),
        timed("hf_torch", [1.0] * 10, each=2),
        timed("hf_torch", [1.0] * 10, "repeat", each=2),
    ]
    markdown = report(make_run, race)
    assert "neither is called faster: fewer than 6 rounds" in markdown.split("\n## ")[0]
    assert "2.00 (5 rounds: no interval)" in speed_section(markdown)
    assert "no noise floor from fewer than 6 rounds" in markdown


def test_with_a_noisy_pair_the_same_race_has_no_winner(make_run: Callable[..., Path]) -> None:
    race = [*RACE, timed("hf_torch", [1.1, 1.08, 1.09, 1.1, 1.08, 1.09], "repeat")]
    markdown = report(make_run, race)
    assert "too close to distinguish" in markdown and "fastest" not in markdown
    assert "within the noise" in markdown and "**1.04" not in markdown
    text = table(race, TITLES).splitlines()
    assert text[-2].startswith("(noise floor: imdb: PyTorch against itself 0.9")
    assert len(text) == 3 + 2 * 2 + 2  # a row has an interval below it


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
    assert "3.00 (3.00 to 3.00, disturbed)" in evaluation
    words = "disturbed in 1 of 6 windows: other work took processor time"
    assert f"imdb, TensorFlow, evaluation: {words}" in speed_section(markdown)
    clock = markdown.split("## Can the clock be trusted?")[1].split("\n## ")[0]
    assert "0.333 (0.333 to 0.333, disturbed)" in clock
    assert f"imdb, TensorFlow repeated: {words}" in clock


def test_the_ratio_of_a_pair_is_the_ratio_of_its_windows() -> None:
    own, again = timed("hf_tf", [1.0, 1.0, 2.0]), timed("hf_tf", [1.1, 1.1, 2.2], "repeat")
    (pair,) = noise_pairs(entries(own, again))
    rows = [
        speeds(m.model_copy(update={"job": m.job.model_copy(update={"role": "framework"})}))
        for m in (own, again)
    ]
    assert pair.ratio == speed_ratio(rows[0][0].training, rows[1][0].training)
