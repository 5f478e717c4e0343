"""Rows say what the measurements say, and nothing that they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.analysis.compare import Row, compare
from results.analysis.groups import Entry, groups, recipe_differences
from results.analysis.memory import headline_memory
from results.schema import Measurement
from tests.results import samples
from tests.results.samples import measurement, throughput


def entries(*measurements: Measurement, run: str = "a", folder: Path | None = None) -> list[Entry]:
    return [Entry(run, m, folder) for m in measurements]


def speed(backend: str, value: float, **changes: object) -> Measurement:
    return measurement(backend, "imdb", "throughput", throughput=throughput(value), **changes)


def only(rows: list[list[Row]]) -> list[Row]:
    assert len(rows) == 1
    return rows[0]


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
