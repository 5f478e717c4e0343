"""The environment variables of a worker."""

from __future__ import annotations

from frameworks.contract import Device, backends

COMMON = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONHASHSEED": "0",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # NVML counts in this order
}


def worker_environment(backend: str, device: Device) -> dict[str, str]:
    """Variables that the worker gets on top of its parent's."""
    variables = dict(COMMON)
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return variables | dict(backends()[backend].environment)
