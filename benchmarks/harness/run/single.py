"""Jobs that run alone: equivalence, memory and accuracy."""

from __future__ import annotations

from benchmarks.harness.jobs.attempt import Attempt
from benchmarks.harness.jobs.events import AccuracyResult, MemoryResult, TraceResult
from benchmarks.harness.machine.nvml import DeviceMemory
from results.schema import Gap, Measurement


def run_memory(attempt: Attempt) -> Measurement:
    """The memory pass, with the GPU's use sampled from here while the worker runs."""
    device_bytes: int | None = None
    gaps: dict[str, Gap] = {}
    if attempt.device.kind == "cpu":
        result = attempt.worker.expect(MemoryResult)
        gaps["peak_device_bytes"] = "no_gpu"
    else:
        # The worker has begun, but it uses nothing of the GPU until it sends `Building`.
        with DeviceMemory() as device_memory:
            result = attempt.worker.expect(MemoryResult)
        if device_memory.shared:
            gaps["peak_device_bytes"] = "failed"
        else:
            device_bytes = device_memory.peak_bytes
    attempt.worker.close()
    return attempt.measurement(
        "ok",
        payload=result.memory.model_copy(update={"peak_device_bytes": device_bytes}),
        gaps=result.gaps | gaps,
        effective=result.effective,
    )


def run_accuracy(attempt: Attempt) -> Measurement:
    result = attempt.worker.expect(AccuracyResult)
    attempt.worker.close()
    return attempt.measurement("ok", payload=result.accuracy, effective=result.effective)


def run_trace(attempt: Attempt) -> Measurement:
    result = attempt.worker.expect(TraceResult)
    attempt.worker.close()
    return attempt.measurement("ok", payload=result.trace, effective=result.effective)


SINGLE_JOBS = {"equivalence": run_trace, "memory": run_memory, "accuracy": run_accuracy}
