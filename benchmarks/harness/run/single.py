"""Jobs that run alone: equivalence, memory and accuracy."""

from __future__ import annotations

from benchmarks.harness.jobs.attempt import Attempt
from benchmarks.harness.jobs.events import AccuracyResult, MemoryResult, ModelSaved, TraceResult
from benchmarks.harness.machine.device_memory import DeviceMemory
from benchmarks.harness.machine.nvml import NoGpu, NvmlFailed
from benchmarks.harness.run.models import finish_model
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
        try:
            device_bytes = device_memory.peak_bytes
        except (NoGpu, NvmlFailed):
            gaps["peak_device_bytes"] = "failed"
        else:
            if device_memory.shared or not device_memory.listed:
                device_bytes = None
                gaps["peak_device_bytes"] = "failed" if device_memory.shared else "unsupported"
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
    gaps: dict[str, Gap] = {}
    accuracy, model = result.accuracy, attempt.ready.job.model
    measurement = attempt.measurement("ok", payload=accuracy, effective=result.effective)
    if model is None:
        return measurement
    problem = result.save_problem or finish_model(model, measurement)
    if problem:
        gaps["model_folder"] = "failed"
        attempt.watch(measurement.job, ModelSaved(text=f"the model was not saved: {problem}"))
    else:
        accuracy = accuracy.model_copy(update={"model_folder": f"models/{model.folder.name}"})
        attempt.watch(measurement.job, ModelSaved(text=f"saved the model in {model.folder}"))
    return measurement.model_copy(update={"payload": accuracy, "gaps": gaps})


def run_trace(attempt: Attempt) -> Measurement:
    result = attempt.worker.expect(TraceResult)
    attempt.worker.close()
    m = attempt.measurement("ok", payload=result.trace, effective=result.effective)
    recipe = m.recipe | {"max_gradient_norm": result.max_gradient_norm}
    return m.model_copy(update={"recipe": recipe})


SINGLE_JOBS = {"equivalence": run_trace, "memory": run_memory, "accuracy": run_accuracy}
