"""The device of a run: the processor, or one GPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pynvml

from benchmarks.harness.errors import UserError
from benchmarks.harness.machine import gpu_types, processor
from benchmarks.harness.machine.nvml import (
    LASTING_REASONS,
    NoGpu,
    NvmlFailed,
    ask,
    event_reasons,
    gpu_handle,
    named,
    text,
)
from frameworks import contract
from frameworks.contract import Precision
from results.schema import Device


def describe(nvml: Any = pynvml) -> Device:
    """Describes the device of the run. A driver that does not answer is an error (`NvmlFailed`),
    not a machine without a GPU."""
    try:
        with gpu_handle(nvml) as handle:
            return _describe_gpu(nvml, handle)
    except NoGpu:
        return Device(
            kind="cpu",
            name=processor.name(),
            memory_bytes=processor.memory_bytes(),
            cores=processor.usable_cores(),
        )


def _describe_gpu(nvml: Any, handle: Any) -> Device:
    name = text(nvml.nvmlDeviceGetName(handle))
    memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    whole = ask(nvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle)  # none: it is whole
    whole = handle if whole is None else whole
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(whole)
    uuid = ask(nvml, "nvmlDeviceGetUUID", handle)
    modes = (nvml.NVML_COMPUTEMODE_EXCLUSIVE_THREAD, nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS)
    return Device(
        kind="gpu",
        name=name,
        memory_bytes=memory,
        cores=processor.usable_cores(),
        driver=text(nvml.nvmlSystemGetDriverVersion()),
        compute_capability=f"{major}.{minor}",
        gpu_type=gpu_types.matching(name, memory),
        uuid=None if uuid is None else text(uuid),
        one_process=ask(nvml, "nvmlDeviceGetComputeMode", whole) in modes,
        clock_limits=list(named(event_reasons(nvml, whole) or 0, LASTING_REASONS)),
    )


def unsupported_precision(device: Device, precision: Precision) -> str | None:
    """The reason why a device does not support a precision; None if it does. Emulation does not
    count: it is slower than fp32 and says nothing about the precision."""
    if device.kind == "cpu":
        return contract.unsupported_precision("cpu", precision)
    if precision == "fp32":
        return None
    return _unsupported_on_gpu(device.compute_capability or "0.0", precision)


def _unsupported_on_gpu(compute_capability: str, precision: Precision) -> str | None:
    needed = (7, 0) if precision == "fp16" else (8, 0)  # tensor cores that support it
    major, minor = (int(part) for part in compute_capability.split("."))
    if (major, minor) >= needed:
        return None
    return (
        f"{precision} needs compute capability {needed[0]}.{needed[1]} or later, "
        f"the GPU has {compute_capability}"
    )


def choose_device(word: str) -> Device:
    """Selects the device of a run. 'cpu' hides all GPUs from this process and its workers.

    Raises UserError for 'gpu' without a GPU, and for a driver that does not answer."""
    if word == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with readable_gpu():
        device = describe()
    if word == "gpu" and device.kind != "gpu":
        raise UserError(
            f"--device gpu: {_why_no_gpu()}; use --device cpu or --device auto to run without one"
        )
    return device


@contextlib.contextmanager
def readable_gpu() -> Iterator[None]:
    """Errors: UserError where the driver does not answer inside."""
    try:
        yield
    except NvmlFailed as error:
        raise UserError(
            f"the GPU cannot be read ({error}); repair its driver, or hide the GPU with "
            "--device cpu"
        ) from None


def _why_no_gpu(nvml: Any = pynvml) -> str:
    try:
        with gpu_handle(nvml):
            return "no NVIDIA GPU is visible"
    except (NoGpu, NvmlFailed) as error:
        return str(error)
