"""The memory pass keeps what it measured, whatever NVML tells."""

from __future__ import annotations

from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from benchmarks.harness.jobs.events import MemoryResult
from benchmarks.harness.machine.nvml import NvmlFailed
from benchmarks.harness.run import single
from results.schema import Memory

pytestmark = pytest.mark.once


class Sampled:
    """What NVML's samples came to."""

    def __init__(self, bytes: int | None, shared: bool = False, listed: bool = True) -> None:
        self._bytes, self.shared, self.listed = bytes, shared, listed

    @property
    def peak_bytes(self) -> int:
        if self._bytes is None:
            raise NvmlFailed("GPU is lost")
        return self._bytes

    def __enter__(self) -> Sampled:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


@pytest.mark.parametrize(
    ("sampled", "bytes", "gap"),
    [
        (Sampled(7), 7, None),
        (Sampled(None), None, "failed"),
        (Sampled(7, shared=True), None, "failed"),
        (Sampled(7, listed=False), None, "unsupported"),
    ],
)
def test_the_use_of_the_device(
    sampled: Sampled, bytes: int | None, gap: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is none where the driver fails, where others use the GPU, and where NVML would not show
    them; the worker's own figures are kept."""
    monkeypatch.setattr(single, "DeviceMemory", lambda: sampled)
    result = MemoryResult(effective={}, memory=Memory(steps=3, peak_allocated_bytes=5), gaps={})
    attempt: Any = SimpleNamespace(
        device=SimpleNamespace(kind="gpu"),
        worker=SimpleNamespace(expect=lambda kind: result, close=lambda: None),
        measurement=lambda status, **fields: fields,
    )
    found: Any = single.run_memory(attempt)
    assert found["payload"].peak_allocated_bytes == 5
    assert found["payload"].peak_device_bytes == bytes
    assert found["gaps"].get("peak_device_bytes") == gap
