"""Runs jobs and records what came of them. Used alike by `ftbench run` and by pytest."""

from __future__ import annotations

from benchmarks.harness.jobs.attempt import Attempt
from benchmarks.harness.machine.nvml import DeviceMemory
from results.schema import (
    Accuracy,
    Measurement,
    Memory,
    Trace,
)


def run_memory(attempt: Attempt) -> Measurement:
    """The memory pass, with the GPU's use sampled from here while the worker runs."""
    if attempt.device.kind == "cpu":
        result, device_bytes, gaps = (
            attempt.worker.expect("result"),
            None,
            {"peak_device_bytes": "no_gpu"},
        )
    else:
        # The worker has begun, but it takes nothing of the GPU until it says 'building'.
        with DeviceMemory() as device_memory:
            result = attempt.worker.expect("result")
        if device_memory.shared:
            device_bytes, gaps = None, {"peak_device_bytes": "failed"}
        else:
            device_bytes, gaps = device_memory.peak_bytes, {}
    attempt.worker.close()
    memory = Memory(**result["memory"], peak_device_bytes=device_bytes)
    return attempt.measurement(
        "ok", memory=memory, gaps=result["gaps"] | gaps, effective=result["effective"]
    )


def run_accuracy(attempt: Attempt) -> Measurement:
    result = attempt.worker.expect("result")
    attempt.worker.close()
    return attempt.measurement(
        "ok", accuracy=Accuracy.model_validate(result["accuracy"]), effective=result["effective"]
    )


def run_trace(attempt: Attempt) -> Measurement:
    result = attempt.worker.expect("result")
    attempt.worker.close()
    return attempt.measurement(
        "ok", trace=Trace.model_validate(result["trace"]), effective=result["effective"]
    )


WHOLE_JOBS = {"equivalence": run_trace, "memory": run_memory, "accuracy": run_accuracy}
