"""What of a race's conditions the report says: shared ones once, others with the names; and windows that
are short for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.analysis.conditions import conditions, conditions_line, unequal
from results.report import as_markdown
from results.schema import Device, Measurement, Memory
from tests.results import samples
from tests.results.races import TITLES
from tests.results.samples import measurement

MakeRun = Callable[..., Path]


def made(device: Device = samples.CPU, **effective: Any) -> Measurement:
    m = measurement("hf_tf", "imdb", "throughput", throughput=samples.throughput(1.0))
    return m.model_copy(
        update={"effective": {**(m.effective or {}), **effective}, "device": device}
    )


def line(first: Measurement, second: Measurement) -> str:
    return conditions_line({"A": conditions([first]), "B": conditions([second])})


SHARED: dict[str, Any] = {"threads": 2, "affinity": "0-1", "allocator": "C library"}
DETAILS = {"deterministic": False, "onednn": True, "flushes_denormals": False}
MIG = samples.GPU.model_copy(update={"name": "NVIDIA A100-SXM4-40GB MIG 1g.5gb"})
HELD = samples.GPU.model_copy(update={"clock_limits": ["clocks set by an application"]})


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (made(), made(), ""),  # an older file
        (
            made(**SHARED, details=DETAILS, variables="none"),
            made(**SHARED, details=DETAILS, variables="none"),
            "threads 2, cores 0-1, the C library's allocator, no deterministic algorithms, oneDNN on, "
            "denormals kept",
        ),
        (
            made(details={"flushes_denormals": True}),
            made(details={"flushes_denormals": False}),
            "denormals rounded to zero (A), denormals kept (B)",
        ),
        (made(threads=2), made(), "threads 2"),  # what one does not record is no difference
        (made(threads=2), made(threads=1), "threads 2 (A), threads 1 (B)"),
        (made(allocator="jemalloc"), made(allocator="jemalloc"), "allocator jemalloc"),
        (
            made(variables="TF_ENABLE_ONEDNN_OPTS=0"),
            made(variables="none"),
            "TF_ENABLE_ONEDNN_OPTS=0 (A)",
        ),
        (
            made(variables="ONEDNN_MAX_CPU_ISA=AVX2"),
            made(variables="ONEDNN_MAX_CPU_ISA=AVX2"),
            "ONEDNN_MAX_CPU_ISA=AVX2",
        ),
        (made(MIG), made(MIG), "a part of a GPU (MIG)"),
        (made(HELD), made(HELD), "clocks set by an application"),
    ],
)
def test_conditions_in_one_line(first: Measurement, second: Measurement, text: str) -> None:
    assert line(first, second) == text


def test_what_frameworks_do_by_themselves_takes_no_claim_away() -> None:
    sides = [
        conditions([made(details={"flushes_denormals": on, "onednn": on}, variables=f"X={on}")])
        for on in (True, False)
    ]
    assert unequal(sides) == []
    threads = [conditions([made(threads=n)]) for n in (1, 2)]
    assert unequal(threads) == ["threads"]


def test_the_line_stands_with_the_speeds(make_run: MakeRun) -> None:
    kept = {"hf_torch": False, "hf_tf": True}
    raced = [
        m.model_copy(
            update={
                "effective": {
                    **(m.effective or {}),
                    "threads": 2,
                    "details": {"flushes_denormals": kept[m.job.backend]},
                }
            }
        )
        for m in samples.sample_measurements()
        if m.job.backend in kept
    ]
    text = as_markdown([make_run(raced)], TITLES).split("## How fast?")[1].split("\n## ")[0]
    assert text.count("Conditions: threads 2, denormals rounded to zero (TensorFlow)") == 1
    assert "denormals kept (PyTorch)" in text
    imdb = [m for m in raced if m.job.task == "mnli" or m.job.backend == "hf_tf"]
    two = as_markdown([make_run(imdb, samples.run_info("two"))], TITLES)
    assert "Conditions of imdb: threads 2" in two and "Conditions of mnli: threads 2" in two


@pytest.mark.parametrize("seconds", [0.4, 0.6])
def test_short_windows_are_marked_on_a_gpu(make_run: MakeRun, seconds: float) -> None:
    """On a processor they are not: nothing is synchronised there."""
    timed = samples.throughput(1.0)
    windows = [w.model_copy(update={"seconds": seconds}) for w in timed.windows]
    timed = timed.model_copy(update={"windows": windows, "evaluation_windows": windows})
    m = measurement("hf_tf", "imdb", "throughput", throughput=timed)
    of_gpu = m.model_copy(update={"device": samples.GPU})
    on_gpu = as_markdown([make_run([of_gpu], samples.run_info("gpu", samples.GPU))], TITLES)
    assert ("short windows" in on_gpu) == (seconds < 0.5)
    assert on_gpu.count("windows of 0.400 s are short for a GPU") == 2 * (seconds < 0.5)
    assert "short windows" not in as_markdown([make_run([m])], TITLES)


def test_a_pool_that_doubles_is_explained_where_the_device_peak_counts(make_run: MakeRun) -> None:
    held = Memory(
        steps=5, peak_device_bytes=27 * samples.GIB, peak_allocated_bytes=14 * samples.GIB
    )
    m = measurement("hf_tf", "imdb", "memory", memory=held, device=samples.GPU)
    assert "regions that double" in as_markdown([make_run([m])], TITLES)
    on_cpu = make_run(info=samples.run_info("cpu"))
    assert "regions that double" not in as_markdown([on_cpu], TITLES)
