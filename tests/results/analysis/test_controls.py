"""The overhead of a loop and the A/A pair of a race: laws."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analysis.compare import compare
from results.analysis.controls import noise_pairs, overheads
from tests.results.races import entries, timed
from tests.results.samples import measurement, window

rates = st.lists(st.floats(0.01, 1e3), min_size=1, max_size=12)


@given(rates, st.floats(0.5, 4.0))
@settings(max_examples=40, deadline=None)
def test_a_bare_loop_that_is_always_faster_by_one_factor_shows_that_tax(
    values: list[float], factor: float
) -> None:
    """However the machine drifts, because windows are paired."""
    (tax,) = overheads(
        entries(timed("hf_tf", values), timed("hf_tf", [factor * v for v in values], "control"))
    )
    assert tax.ratio and tax.ratio.value == pytest.approx(factor)
    added = (factor - 1) / tax.control.steps_per_second
    assert tax.seconds_per_step == pytest.approx(added, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "rounds", "misses"),
    [
        ([1.0, 1.01, 0.99, 1.0], 1, False),
        ([1.05, 1.06, 1.05, 1.04], 1, True),
        ([1.05, 1.06], 1, False),  # two launches have no interval
        ([1.05] * 5, None, False),  # nor have five rounds
        ([1.05, 1.06, 1.04, 1.05, 1.05, 1.05], None, True),
    ],
)
def test_a_pair_whose_interval_excludes_1_is_flagged(
    values: list[float], rounds: int | None, misses: bool
) -> None:
    pairs = noise_pairs(
        entries(
            timed("hf_tf", values, rounds=rounds),
            timed("hf_tf", [1.0] * len(values), "repeat", rounds=rounds),
        )
    )
    assert [pair.misses_one for pair in pairs] == [misses]


def test_the_controls_are_no_backends() -> None:
    rows = compare(
        entries(
            timed("hf_tf", [1.0, 1.0]),
            timed("hf_tf", [2.0, 2.0], "control"),
            timed("hf_tf", [3.0, 3.0], "repeat"),
        )
    )
    assert [len(same) for same in rows] == [1] and rows[0][0].speed
    assert rows[0][0].speed.training.windows == (1.0, 1.0)


def test_without_their_partner_they_say_nothing() -> None:
    failed = measurement("hf_tf", "imdb", "throughput", status="killed", reason="signal 9")
    lonely = entries(failed, timed("hf_tf", [1.0], "control"), timed("hf_tf", [1.0], "repeat"))
    assert overheads(lonely) == [] and noise_pairs(lonely) == []
    assert compare(lonely)[0][0].status("throughput") == "killed"


def test_a_control_of_another_race_says_nothing() -> None:
    own, bare, again = (
        timed("hf_tf", [1.0] * 6, role, race)
        for role, race in (("framework", "a"), ("control", "b"), ("repeat", "b"))
    )
    (tax,) = overheads(entries(own, bare))
    assert tax.ratio is None and tax.seconds_per_step is None
    assert noise_pairs(entries(own, again)) == []


def test_a_varied_recipe_pairs_like_with_like() -> None:
    found = overheads(
        entries(
            *[
                timed("hf_tf", [speed, speed], role, suffix=f"-{n}", recipe={"length": n})
                for n, speeds_ in ((128, (2.0, 3.0)), (512, (1.0, 4.0)))
                for role, speed in zip(("framework", "control"), speeds_, strict=True)
            ]
        )
    )
    assert {t.comparison.varied_text: t.ratio and round(t.ratio.value, 6) for t in found} == {
        "length 128": 1.5,
        "length 512": 4.0,
    }


@pytest.mark.parametrize(
    ("load", "words"),
    [
        ({}, []),
        ({"throttle_reasons": [], "gpu_processes": 0, "sm_clock_mhz": 1410}, []),
        ({"throttle_reasons": ["power cap"]}, ["the GPU was slowed: power cap"]),
        (
            {"throttle_reasons": [], "throttled_shares": {"power cap": 0.2, "thermal": 0.04}},
            ["the GPU was slowed: power cap"],
        ),
        ({"gpu_processes": 1}, ["other processes held the GPU"]),
        (
            {"stolen_share": 0.5, "other_busy_share": 0.5},
            ["the hypervisor took processor time", "other work took processor time"],
        ),
    ],
)
def test_what_disturbed_a_window(load: dict[str, object], words: list[str]) -> None:
    assert window(1.0, **load).load.disturbances == words
