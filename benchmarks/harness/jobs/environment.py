"""The environment variables of a worker."""

from __future__ import annotations

import os

from frameworks.contract import backends
from results.schema import Device

COMMON = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONHASHSEED": "0",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # NVML counts in this order
}


def worker_environment(backend: str, device: Device | None) -> dict[str, str]:
    """Variables that the worker gets on top of its parent's. It sees the one GPU that the parent
    has chosen, or with None no GPU."""
    variables = COMMON | {"CUDA_VISIBLE_DEVICES": visible_gpu(device)}
    return variables | dict(backends()[backend].environment)


def visible_gpu(device: Device | None) -> str:
    """The GPU by its UUID; where the driver does not tell that, as this process's variable has it."""
    if device is None or device.kind == "cpu":
        return ""
    return device.uuid or os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
