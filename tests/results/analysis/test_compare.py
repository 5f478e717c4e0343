"""Rows say what the measurements say, and nothing that they do not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analysis.compare import Row, compare
from results.analysis.groups import Entry, Group, groups, recipe_differences
from results.analysis.memory import headline_memory
from results.analysis.speed import Rate, speed_ratio
from results.analysis.speed import rate as rate_of
from results.schema import Measurement, Window
from tests.results import samples
from tests.results.samples import measurement, throughput, window


def entries(*measurements: Measurement, run: str = "a", folder: Path | None = None) -> list[Entry]:
    return [Entry(run, m, folder) for m in measurements]


def speed(backend: str, value: float, **changes: object) -> Measurement:
    return measurement(backend, "imdb", "throughput", throughput=throughput(value), **changes)


def rate(windows: list[Window], race: str | None = None) -> Rate:
    return rate_of(windows, [race] * len(windows))


def only(rows: list[list[Row]]) -> list[Row]:
    assert len(rows) == 1
    return rows[0]


def test_rates_come_from_what_was_executed() -> None:
    found = rate([window(v, i) for i, v in enumerate((2.0, 4.0, 5.0))])
    assert found.windows == pytest.approx((2, 4, 5)) and found.steps_per_second == pytest.approx(4)
    assert found.samples_per_second == pytest.approx(4 * 16)
    assert found.tokens_per_second == pytest.approx(4 * 2900)
    assert found.padding_share == pytest.approx(1 - 2900 / 4096)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(1, 50)), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_rate_never_exceeds_count_over_time(cases: list[tuple[float, int]]) -> None:
    windows = [window(steps / seconds, steps=steps) for seconds, steps in cases]
    most = max(steps / seconds for seconds, steps in cases)
    assert rate(windows).steps_per_second <= most * (1 + 1e-9)


def test_a_wide_interval_is_noisy_and_a_narrow_one_is_not() -> None:
    wide, narrow = (1.0, 1.3, 0.8, 1.4, 0.7, 1.2), (1.0, 1.01, 0.99, 1.0, 1.02, 1.0)
    assert rate([window(v, i) for i, v in enumerate(wide)]).noisy
    assert not rate([window(v, i) for i, v in enumerate(narrow)]).noisy
    short = rate([window(v, i // 2) for i, v in enumerate(wide)])  # three rounds
    assert short.interval is None and not short.noisy and short.rounds == 3
    for count, has_interval in ((1, True), (2, False), (3, True)):  # launches of six rounds
        found = rate([window(v, i, launch=n) for n in range(count) for i, v in enumerate(wide)])
        assert (found.interval is not None, found.launches) == (has_interval, count)


@pytest.mark.parametrize(
    ("load", "disturbed"),
    [
        ({}, 0),
        ({"stolen_share": 0.01, "other_busy_share": 0.10}, 0),
        ({"stolen_share": 0.011}, 1),
        ({"other_busy_share": 0.11}, 1),
        ({"one_minute_load": 9}, 0),
    ],
)
def test_disturbed_windows_are_counted(load: dict[str, Any], disturbed: int) -> None:
    assert rate([window(1.0, **load), window(1.0)]).disturbed_windows == disturbed


def test_rounds_and_seeds_of_one_backend_are_put_together() -> None:
    rows = only(
        compare(
            entries(
                speed("hf_tf", 1.0, suffix="-1"),
                speed("hf_tf", 1.0, suffix="-2", recipe={"seed": 43}),
            )
        )
    )
    assert len(rows) == 1 and rows[0].speed
    assert len(rows[0].speed.training.windows) == 36


def test_what_a_backend_varies_splits_the_comparison() -> None:
    rows = compare(
        entries(
            *[
                speed(b, 1.0, suffix=f"-{n}", recipe={"length": n})
                for b in ("hf_tf", "hf_torch")
                for n in (512, 128)
            ]
        )
    )
    assert [r[0].comparison.varied_text for r in rows] == ["length 128", "length 512"]
    assert all(len(r) == 2 for r in rows)


def test_what_only_differs_between_backends_is_named_and_splits_nothing() -> None:
    found = groups(
        entries(speed("hf_tf", 1.0), speed("keras_rnn", 2.0, recipe={"learning_rate": 1e-3}))
    )
    assert len({g.comparison for g in found}) == 1
    assert recipe_differences(found) == [("learning_rate", {"hf_tf": 3e-5, "keras_rnn": 1e-3})]


def test_what_a_question_fixes_splits_nothing() -> None:
    rows = only(
        compare(
            entries(
                speed("hf_tf", 1.0, recipe={"steps": 40, "padding": "longest"}),
                measurement(
                    "hf_tf",
                    "imdb",
                    "memory",
                    memory=samples.memory(2**30),
                    recipe={"steps": 5, "padding": "max"},
                ),
            )
        )
    )
    assert rows[0].speed and rows[0].memory


def test_runs_are_never_mixed() -> None:
    rows = compare([*entries(speed("hf_tf", 1.0), run="b"), *entries(speed("hf_tf", 2.0), run="a")])
    assert [r[0].comparison.run for r in rows] == ["b", "a"]


def test_the_order_of_the_input_changes_nothing() -> None:
    some = samples.sample_measurements()
    assert compare(entries(*some)) == compare(entries(*reversed(some)))


def test_a_failed_job_is_a_row_without_figures() -> None:
    failed = measurement("hf_tf", "imdb", "throughput", status="killed", reason="signal 9")
    row = only(compare(entries(failed)))[0]
    assert row.speed is None and row.status("throughput") == "killed"
    assert row.status("memory") == "not_asked"


def test_mfu_needs_both_figures() -> None:
    full = only(compare(entries(speed("hf_tf", 1.0))))[0].speed
    assert full and full.mfu == pytest.approx(3e7 * full.training.tokens_per_second / 1.8e11)
    bare = measurement(
        "hf_tf",
        "imdb",
        "throughput",
        throughput=throughput(1.0).model_copy(update={"matmul_flops_per_second": None}),
    )
    row = only(compare(entries(bare)))[0].speed
    assert row and row.mfu is None and row.mfu_with_padding is None


def test_mfu_above_1_shows_that_the_matrix_rate_is_wrong() -> None:
    """Such as one that was measured with a product that is smaller than its call."""
    slow = throughput(1.0).model_copy(update={"matmul_flops_per_second": 1e9})
    row = only(compare(entries(measurement("hf_tf", "imdb", "throughput", throughput=slow))))[0]
    assert row.speed and row.speed.mfu is None and row.speed.mfu_with_padding is None
    assert row.speed.gaps["matmul_flops_per_second"] == "implausible"


def test_the_ratio_is_of_turns_that_both_took() -> None:
    fast = rate([window(4.0, 0), window(2.0, 1), window(9.0, 2)])
    slow = rate([window(2.0, 0), window(1.0, 1)])
    ratio = speed_ratio(fast, slow)
    assert ratio and ratio.value == pytest.approx(2.0)
    assert speed_ratio(rate([window(1.0, 0)]), rate([window(1.0, 1)])) is None
    assert speed_ratio(rate([window(1.0)]), rate([window(1.0, launch=1)])) is None


launches = st.lists(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=3),
    min_size=3,
    max_size=8,
)


@given(launches)
@settings(max_examples=40, deadline=None)
def test_over_launches_it_is_the_mean_log_of_the_ratios_of_all_seconds(
    cases: list[list[tuple[float, float]]],
) -> None:
    sides = [
        rate(
            [window(1 / c[i], r, launch=n) for n, of in enumerate(cases) for r, c in enumerate(of)]
        )
        for i in (0, 1)
    ]
    ratio, swapped = speed_ratio(*sides), speed_ratio(*reversed(sides))
    assert ratio and swapped and ratio.launches == len(cases)
    logs = [math.log(sum(b for _, b in of) / sum(a for a, _ in of)) for of in cases]
    assert ratio.logs == pytest.approx(logs)
    assert math.log(ratio.value) == pytest.approx(sum(logs) / len(logs), abs=1e-9)
    assert swapped.value == pytest.approx(1 / ratio.value) == pytest.approx(ratio.inverse.value)
    assert ratio.interval and ratio.interval.low <= ratio.value <= ratio.interval.high
    product = sides[0].steps_per_second / sides[1].steps_per_second
    assert product == pytest.approx(ratio.value)  # no rank contradicts a ratio


def test_of_a_round_that_was_taken_again_the_later_take_counts() -> None:
    first = [w.model_copy(update={"superseded": True}) for w in (window(0.1, 1), window(0.2, 1))]
    found = rate([window(1.0, 0), *first, window(2.0, 1), window(3.0, 2)])
    assert found.steps_per_second == pytest.approx(2.0) and found.rounds == 3
    assert [turn for turn, _ in found.superseded] == [(None, 0, 1)] * 2
    assert found.windows == pytest.approx((1, 2, 3))


def test_windows_of_two_races_are_no_pairs() -> None:
    """Two environments that add to one run, one after the other; or a run that was resumed."""
    first, second, old = (
        rate([window(1.0, i) for i in range(6)], race) for race in ("a", "b", None)
    )
    assert speed_ratio(first, second) is None and speed_ratio(first, old) is None
    ratio = speed_ratio(first, first)
    assert ratio and ratio.value == 1 and ratio.interval
    assert speed_ratio(old, old) == ratio  # files that name no race were measured in one


def test_speeds_are_compared_in_examples() -> None:
    """Half the batch in half the time is no faster."""
    whole = [window(1.0, i) for i in range(6)]
    half = [window(2.0, i).model_copy(update={"examples": 80}) for i in range(6)]
    ratio = speed_ratio(rate(half), rate(whole))
    assert ratio and ratio.value == pytest.approx(1)


@pytest.mark.parametrize(
    ("environment", "texts"),
    [
        (
            ({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "2"}),
            ["OMP_NUM_THREADS=1", "OMP_NUM_THREADS=2"],
        ),
        (
            ({"A": "x"}, {"A": "x", "OMP_NUM_THREADS": "2"}),
            ["OMP_NUM_THREADS=2", "OMP_NUM_THREADS unset"],
        ),
        (({"A": "x"}, {"A": "x"}), [""]),
    ],
)
def test_a_workers_variables_split_what_is_put_together(
    environment: tuple[dict[str, str], ...], texts: list[str]
) -> None:
    rows = compare(
        entries(
            *[speed("hf_tf", 1.0, suffix=f"-{i}", environment=e) for i, e in enumerate(environment)]
        )
    )
    assert [r[0].comparison.varied_text for r in rows] == texts
    assert [len(r[0].speed.training.windows) for r in rows if r[0].speed] == (
        [18, 18] if len(texts) == 2 else [36]
    )


def test_other_variables_in_other_backends_split_no_comparison() -> None:
    """Each framework has its own; and a job that had no worker had none."""
    excluded = measurement(
        "hf_tf",
        "imdb",
        "throughput",
        suffix="-x",
        status="unsupported",
        reason="no",
        recipe={"precision": "fp16"},
    )
    rows = compare(
        entries(
            speed("hf_tf", 1.0, environment={"A": "1"}),
            excluded,
            speed("hf_torch", 1.0, environment={"B": "1"}),
        )
    )
    assert [r[0].comparison.varied_text for r in rows] == ["precision fp16", "precision fp32"]
    assert [len(r) for r in rows] == [1, 2]


def test_the_peak_is_the_highest_and_gaps_stay_gaps() -> None:
    row = only(
        compare(
            entries(
                measurement(
                    "hf_tf",
                    "imdb",
                    "memory",
                    memory=samples.memory(100),
                    suffix="-1",
                    gaps={"peak_device_bytes": "no_gpu"},
                ),
                measurement("hf_tf", "imdb", "memory", memory=samples.memory(300), suffix="-2"),
            )
        )
    )[0]
    assert row.memory and row.memory.figures["peak_process_bytes"] == 300
    assert row.memory.figures["peak_device_bytes"] is None
    assert row.memory.gaps == {"peak_device_bytes": "no_gpu"}


def test_the_headline_memory_figure_is_one_for_all_rows() -> None:
    row = only(
        compare(
            entries(
                measurement(
                    "hf_tf",
                    "imdb",
                    "memory",
                    memory=samples.memory(1).model_copy(update={"peak_allocated_bytes": 7}),
                )
            )
        )
    )[0]
    assert row.memory
    assert headline_memory([row.memory], "cpu") == "peak_process_bytes"
    assert headline_memory([row.memory], "gpu") == "peak_allocated_bytes"


def accuracy_group(backend: str, *values: float) -> Group:
    found = groups(
        entries(
            *[
                measurement(
                    backend,
                    "imdb",
                    "accuracy",
                    recipe={"seed": seed},
                    suffix=f"-seed_{seed}",
                    accuracy=samples.accuracy("imdb", value, 1.0, seed),
                )
                for seed, value in enumerate(values)
            ]
        )
    )
    assert len(found) == 1
    return found[0]


def kept(
    folder: Path, backend: str, said: np.ndarray, labels: np.ndarray, file: str | None = None
) -> Entry:
    name = file or f"{backend}.npz"
    if file is None:
        np.savez(folder / name, test_logits=np.eye(2)[said], test_labels=labels)
    m = measurement(
        backend,
        "imdb",
        "accuracy",
        accuracy=samples.accuracy("imdb", 0.5, 1.0, predictions_file=name),
    )
    return Entry("a", m, folder)
