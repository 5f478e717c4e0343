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
KERNEL_CACHE = "CUDA_CACHE_PATH"


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


def chosen_variables(backend: str, variables: Mapping[str, str]) -> str:
    """Those of a worker's variables that the profile or the shell chose and that may change its figures,
    in one line; a path by the variable's name alone. 'none' where there are none."""
    about = backends()[backend]
    own = COMMON | dict(about.environment)
    shown = {*variables} - {*about.thread_variables, "CUDA_VISIBLE_DEVICES", "CC", "CXX"}
    chosen = {name: variables[name] for name in sorted(shown) if own.get(name) != variables[name]}
    texts = [name if "/" in value else f"{name}={value}" for name, value in chosen.items()]
    return ", ".join(texts) or "none"


def process_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a worker's process: what it inherits, and what is set for it. On a GPU the
    driver keeps the kernels that it compiles in ftbench's cache, because a home may not be writable.

    Errors: UserError where that folder cannot be made."""
    found = shell.inherited() | dict(variables)
    if found.get("CUDA_VISIBLE_DEVICES") and KERNEL_CACHE not in found:
        # Here, because workers import this module and need no cache.
        from benchmarks.harness.checkpoints.cache import kernel_cache

        found[KERNEL_CACHE] = str(kernel_cache())
    return found


def thread_count(backend: str, variables: Mapping[str, str]) -> int | None:
    """The number of threads that these variables ask for; None where they ask for no number."""
    texts = {variables.get(name, "") for name in backends()[backend].thread_variables}
    return int(texts.pop()) if len(texts) == 1 and min(texts).isdigit() else None


def left_out(names: Iterable[str]) -> list[str]:
    """The variables of the shell that workers of these backends do not inherit and that would have
    changed what they do."""
    patterns = {p for name in names for p in backends()[name].variables}
    return shell.left_out(sorted(patterns))
