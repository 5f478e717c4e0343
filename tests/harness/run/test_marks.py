"""A window gets what the machine did between its two marks; the GPU's half is asked of the
stand-in for NVML."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from benchmarks.harness.jobs.process import WorkerProcess
from benchmarks.harness.machine import nvml as devices
from benchmarks.harness.run import participant
from results.schema import Device, Load, Window
from tests.harness.machine.fake_nvml import BrokenDriver, Nvml, NvmlError, WithoutDriver

GPU = Device(kind="gpu", name="x", memory_bytes=1, cores=1)
CPU = GPU.model_copy(update={"kind": "cpu"})


@pytest.fixture(autouse=True)
def _every_gpu_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(WorkerProcess, "alive", {1, 2})  # a race of two


def racing(
    monkeypatch: pytest.MonkeyPatch, device: Device, nvml: object
) -> participant.Participant:
    def asked(own_processes: int) -> devices.GpuState:
        return devices.gpu_state(nvml, own_processes=own_processes)

    monkeypatch.setattr(participant, "gpu_state", asked)
    attempt = SimpleNamespace(device=device, worker=SimpleNamespace(pid=os.getpid()))
    job = participant.Participant(attempt, "a race")  # type: ignore[arg-type]
    monkeypatch.setattr(
        job,
        "_take_window",
        lambda: Window(seconds=1, worker_seconds=1, steps=1, examples=1, tokens=1, padded_tokens=1),
    )
    return job


def loads(job: participant.Participant) -> list[Load]:
    return [window.load for window in job.windows.timed["training"]]


def test_each_window_has_its_own_two_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    nvml.processes = [object()] * 2
    job = racing(monkeypatch, GPU, nvml)
    for reasons, processes in ((0, 2), (0x4, 2), (0, 3)):  # before each window
        nvml.reasons, nvml.processes = reasons, [object()] * processes
        job.mark()
        job.window()
    nvml.reasons, nvml.processes = 0, [object()] * 2
    job.end_turn()
    assert [load.throttle_reasons for load in loads(job)] == [["power cap"], ["power cap"], []]
    assert [load.gpu_processes for load in loads(job)] == [0, 1, 1]
    assert {load.sm_clock_mhz for load in loads(job)} == {1410}


@pytest.mark.parametrize("nvml", [BrokenDriver(), WithoutDriver()])
def test_a_driver_that_does_not_tell_leaves_the_fields_empty(
    monkeypatch: pytest.MonkeyPatch, nvml: Nvml
) -> None:
    job = racing(monkeypatch, GPU, nvml)
    job.mark()
    job.window()
    job.end_turn()
    assert [(x.throttle_reasons, x.gpu_processes) for x in loads(job)] == [(None, None)]


def test_without_a_gpu_nvml_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouchable(Nvml):
        def nvmlInit(self) -> None:
            raise NvmlError("asked")

    job = racing(monkeypatch, CPU, Untouchable())
    job.mark()
    job.window()
    job.end_turn()
    assert loads(job)[0].throttle_reasons is None
