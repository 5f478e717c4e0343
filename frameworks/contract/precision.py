"""Which precisions a device can train in."""

from __future__ import annotations

import os
from pathlib import Path

from frameworks.contract.recipe import Device, Precision

# What a processor calls its arithmetic in these formats; without it they are emulated.
PROCESSOR_FLAGS: dict[str, tuple[str, ...]] = {
    "bf16": ("avx512_bf16", "amx_bf16"),
    "fp16": ("avx512_fp16", "amx_fp16"),
}
# The variables that limit the instruction sets that oneDNN uses, by its new and its old name, and the
# limits below each of those sets, as oneDNN orders them.
ONEDNN_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # the first that is set counts
_BELOW_AVX512 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")
_BELOW_BF16 = (*_BELOW_AVX512, "AVX512_CORE", "AVX512_CORE_VNNI")
_BELOW_FP16 = (*_BELOW_BF16, "AVX512_CORE_BF16")
_BELOW_AMX = (*_BELOW_FP16, "AVX512_CORE_FP16", "AVX10_1_512")
ONEDNN_FORBIDS = {
    "avx512_bf16": _BELOW_BF16,
    "avx512_fp16": _BELOW_FP16,
    "amx_bf16": _BELOW_AMX,
    "amx_fp16": (*_BELOW_AMX, "AVX512_CORE_AMX", "AVX10_1_512_AMX"),
}


def unsupported_precision(device: Device, precision: Precision) -> str | None:
    """The reason why a device cannot train in a precision; None if it can, or if only the device
    itself can say."""
    if device == "gpu" or precision == "fp32":
        return None
    if precision == "tf32":
        return "TF32 is a mode of NVIDIA GPUs and this job runs on a CPU"
    wanted = PROCESSOR_FLAGS[precision]
    if set(wanted) & processor_flags():
        return None
    name, limit = onednn_limit()
    where = f" under {name}={limit}" if limit else ""
    return f"this processor would emulate it: it has neither {' nor '.join(wanted)}{where}"


def processor_flags() -> frozenset[str]:
    """Instruction sets that a framework may use, as Linux names them; empty if it does not say.
    Those that oneDNN's limit forbids are excluded: TensorFlow's workers abort when they need one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    limit = onednn_limit()[1].upper()
    return frozenset(flag for flag in flags if limit not in ONEDNN_FORBIDS.get(flag, ()))


def onednn_limit() -> tuple[str, str]:
    """oneDNN's limit on instruction sets: the variable that sets it, and its value; '' if none does."""
    found = ((name, os.environ.get(name)) for name in ONEDNN_LIMITS)
    return next(((name, value) for name, value in found if value), (ONEDNN_LIMITS[0], ""))
