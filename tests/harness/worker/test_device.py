"""A worker trains on the job's device or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.worker import __main__ as worker
from benchmarks.harness.worker.in_force import WrongDevice, device_difference
from frameworks.contract import FoundDevice
from results.schema import Device
from tests.harness.limits import fakes

pytestmark = pytest.mark.once

GIB = 2**30
CPU = Device(kind="cpu", name="a processor", memory_bytes=8 * GIB, cores=2)
H100 = Device(
    kind="gpu", name="NVIDIA H100 80GB HBM3", memory_bytes=80 * GIB, cores=8, driver="535.1"
)
PART = Device(kind="gpu", name="NVIDIA A100-SXM4-40GB MIG 1g.5gb", memory_bytes=5 * GIB, cores=8)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CPU, FoundDevice("cpu", "CPU")),
        (H100, FoundDevice("gpu", "NVIDIA H100 80GB HBM3", 79 * GIB)),
        (H100, FoundDevice("gpu", "H100 80GB HBM3")),
        (PART, FoundDevice("gpu", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5 * GIB)),
        (PART, FoundDevice("gpu", "NVIDIA A100-SXM4-40GB", 5 * GIB)),
    ],
)
def test_the_same_device(wanted: Device, found: FoundDevice) -> None:
    assert device_difference(wanted, found) is None


@pytest.mark.parametrize(
    ("wanted", "found", "words"),
    [
        (H100, FoundDevice("cpu", "CPU", advice="Update it."), ["535.1", "only a CPU. Update it."]),
        (CPU, FoundDevice("gpu", "NVIDIA T4"), ["a processor", "T4"]),
        (H100, FoundDevice("gpu", H100.name, 79 * GIB, 2), ["would use 2", "CUDA_VISIBLE_DEVICES"]),
        (H100, FoundDevice("gpu", "NVIDIA A100-SXM4-80GB", 79 * GIB), ["H100", "A100"]),
        (PART, FoundDevice("gpu", "NVIDIA A100-SXM4-40GB", 40 * GIB), ["5.0 GiB", "40.0 GiB"]),
    ],
)
def test_another_device(wanted: Device, found: FoundDevice, words: list[str]) -> None:
    problem = device_difference(wanted, found)
    assert problem is not None and "\n" not in problem
    assert all(word in problem for word in words)


def test_nothing_is_built_on_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    found = FoundDevice("cpu", "CPU", advice="install CUDA")

    class Session:
        device = SimpleNamespace(found_device=lambda: found)

        def __init__(self, spec: Any) -> None:
            raise AssertionError("built")

    job = fakes.ready("1GiB").job.model_copy(update={"limit": None})
    monkeypatch.setattr(worker, "backend", lambda job, pipe: SimpleNamespace(Session=Session))
    monkeypatch.setattr(worker, "load_examples", lambda path: None)
    pipe = SimpleNamespace(send=lambda event: None)
    with pytest.raises(WrongDevice, match=r"found only a CPU\. install CUDA"):
        worker.build(job, pipe)  # type: ignore[arg-type]
