"""The first half hour on a GPU, as far as it goes without one."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from benchmarks.harness.machine.nvml import NvmlFailed
from benchmarks.studies import first_gpu
from benchmarks.studies.first_gpu import Line, measured_lines, page
from results.schema import Device
from tests.results import samples

pytestmark = pytest.mark.once

CPU = Device(kind="cpu", name="a processor", memory_bytes=1, cores=1)


@pytest.mark.parametrize(
    ("device", "words"), [(CPU, "no NVIDIA GPU"), (NvmlFailed("lost"), "cannot be read (lost)")]
)
def test_without_a_gpu_it_ends_in_one_line(
    device: Any, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def describe() -> Device:
        if isinstance(device, Exception):
            raise device
        return device

    monkeypatch.setattr(first_gpu, "describe", describe)
    monkeypatch.setattr(sys, "argv", ["first_gpu"])
    assert first_gpu.main() == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and words in err


def test_the_page_shows_what_was_not_as_expected() -> None:
    lines = [Line("a", "1", "1", True), Line("a longer one", "2", "3", False)]
    text = page(CPU, lines).splitlines()
    assert text[3] == "ok  a             1         1"
    assert text[4] == "!!  a longer one  2         3"
    assert text[-1] == "2 checked, 1 not as expected"


def test_a_measurement_is_checked_against_what_a_gpu_should_give() -> None:
    timed = samples.measurement(
        "hf_torch", "imdb", "throughput", throughput=samples.throughput(1.0)
    )
    assert timed.throughput is not None
    windows = [w.model_copy(update={"seconds": 0.1}) for w in timed.throughput.windows]
    short = timed.throughput.model_copy(update={"windows": windows})
    timed = timed.model_copy(
        update={"payload": short, "effective": {"device": "cpu: cpu", "precision": "fp32"}}
    )
    found = {line.checked.removeprefix(timed.job.id): line for line in measured_lines(timed)}
    assert found[""].good
    assert not found[": device"].good and not found[": window"].good
    failed = timed.model_copy(update={"status": "failed", "reason": "no CUDA", "payload": None})
    assert next(measured_lines(failed)).found == "failed: no CUDA"
