"""The environment variables of a worker: built, not inherited."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from benchmarks.harness.machine import shell
from frameworks.contract import backends
from results.schema import Device

COMMON = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONHASHSEED": "0",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # NVML counts in this order
}


def worker_environment(backend: str, device: Device | None, threads: int) -> dict[str, str]:
    """Variables that are set for a worker and recorded: those of all workers, of its backend and of
    the number of threads, and what it inherits although that changes figures. It sees the one GPU
    that the parent has chosen, or with None no GPU."""
    about = backends()[backend]
    variables = shell.recorded() | COMMON | {"CUDA_VISIBLE_DEVICES": visible_gpu(device)}
    variables |= dict.fromkeys(about.thread_variables, str(threads))
    return variables | dict(about.environment)


def visible_gpu(device: Device | None) -> str:
    """The GPU by its UUID; where the driver does not tell that, as this process's variable has it."""
    if device is None or device.kind == "cpu":
        return ""
    return device.uuid or os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()


def process_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a worker's process: what it inherits, and what is set for it."""
    return shell.inherited() | dict(variables)


def thread_count(backend: str, variables: Mapping[str, str]) -> int | None:
    """The number of threads that these variables ask for; None where they ask for no number."""
    texts = {variables.get(name, "") for name in backends()[backend].thread_variables}
    return int(texts.pop()) if len(texts) == 1 and min(texts).isdigit() else None


def left_out(names: Iterable[str]) -> list[str]:
    """The variables of the shell that workers of these backends do not inherit and that would have
    changed what they do."""
    patterns = {p for name in names for p in backends()[name].variables}
    return shell.left_out(sorted(patterns))
