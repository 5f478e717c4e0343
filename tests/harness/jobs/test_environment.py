"""The worker's environment: which GPU it sees."""

from __future__ import annotations

import pytest

from benchmarks.harness.jobs.environment import worker_environment
from results.schema import Device

pytestmark = pytest.mark.once

GPU = Device(kind="gpu", name="NVIDIA T4", memory_bytes=1, cores=1, uuid="GPU-89aa10b2")


@pytest.mark.parametrize(
    ("device", "visible"),
    [
        (GPU, "GPU-89aa10b2"),
        (GPU.model_copy(update={"uuid": None}), "1"),
        (GPU.model_copy(update={"kind": "cpu"}), ""),
        (None, ""),
    ],
)
def test_a_worker_sees_the_gpu_of_its_job_and_no_other(
    device: Device | None, visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one would be used too: Trainer spreads every batch over all GPUs that it sees."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    found = worker_environment("hf_torch", device)
    assert found["CUDA_VISIBLE_DEVICES"] == visible
    assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"  # or an index is another GPU than NVML's
