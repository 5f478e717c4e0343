"""Precisions: what a processor can do, and how many bits a product keeps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frameworks.contract.recipe import Device, Precision

# What a processor calls its arithmetic in these formats; without it they are emulated.
PROCESSOR_FLAGS: dict[str, tuple[str, ...]] = {
    "bf16": ("avx512_bf16", "amx_bf16"),
    "fp16": ("avx512_fp16", "amx_fp16"),
}
# oneDNN's limit on the instruction sets that it uses, and the limits below each of those sets, as
# oneDNN orders them.
ONEDNN_LIMIT = "ONEDNN_MAX_CPU_ISA"
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
    """Why a device cannot train in a precision; None where it can, or only it can tell."""
    if device == "gpu" or precision == "fp32":
        return None
    if precision == "tf32":
        return "TF32 is a mode of NVIDIA GPUs and this job runs on a CPU"
    wanted = PROCESSOR_FLAGS[precision]
    if set(wanted) & processor_flags():
        return None
    limit = os.environ.get(ONEDNN_LIMIT)
    where = f" under {ONEDNN_LIMIT}={limit}" if limit else ""
    return f"this processor would emulate it: it has neither {' nor '.join(wanted)}{where}"


def processor_flags() -> frozenset[str]:
    """Instruction sets that a framework may use, as Linux names them; empty where it does not say.
    Those that oneDNN's limit forbids are left out: TensorFlow's workers abort when they need one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    limit = os.environ.get(ONEDNN_LIMIT, "").upper()
    return frozenset(flag for flag in flags if limit not in ONEDNN_FORBIDS.get(flag, ()))


SIZE = 512  # rows and columns: enough that a library takes the kernels that it has for models


BITS = 23  # behind the point, in fp32


KEPT: dict[Precision, int] = {"fp32": 23, "tf32": 10, "bf16": 7}


def factors() -> tuple[np.ndarray, np.ndarray]:
    """Two float32 matrices. Row k of the first is 1 + 2^-k, which has k bits behind the point; the
    second is the identity, so that their product has the first one's numbers as they were read."""
    rows = 1 + 2.0 ** -np.arange(1, BITS + 1)
    numbers = np.concatenate([rows, np.ones(SIZE - BITS)]).astype(np.float32)
    return np.repeat(numbers[:, None], SIZE, axis=1), np.eye(SIZE, dtype=np.float32)


@dataclass(frozen=True)
class Product:
    """What became of the factors."""

    bits: int  # behind the point, that every number kept
    half: bool  # in fp16, which keeps as many as TF32 does

    @classmethod
    def of(cls, *results: np.ndarray, half: bool) -> Product:
        """Of several products, such as a layer's and attention's, the coarsest counts."""
        given, _ = factors()
        kept = [np.all(result[:BITS] == given[:BITS], axis=1) for result in results]
        lost = ~np.all(kept, axis=0)
        return cls(int(np.argmax(lost)) if lost.any() else BITS, half)

    @property
    def word(self) -> Precision:
        """The recipe's word for it: at least so many bits.

        Errors: ValueError where the product is coarser than every word."""
        if self.half:
            return "fp16"
        for word, bits in KEPT.items():
            if self.bits >= bits:
                return word
        raise ValueError(f"matrix products keep {self.bits} bits: no precision of a recipe's")
