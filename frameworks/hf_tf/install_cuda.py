"""Gives TensorFlow its CUDA libraries, only where there is an NVIDIA driver to use them.

    python -m frameworks.hf_tf.install_cuda

PyTorch's package brings its libraries along; TensorFlow's does so only as `tensorflow[and-cuda]`,
several gigabytes that a machine without a GPU has no use for.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata

from benchmarks.harness.machine import nvml


def command(version: str) -> list[str]:
    """The pip call: the same TensorFlow, with the libraries that it was built for."""
    return [sys.executable, "-m", "pip", "install", f"tensorflow[and-cuda]=={version}"]


def main(
    run: Callable[[list[str]], int] = subprocess.call,
    gpu_present: Callable[[], bool] = nvml.gpu_present,
) -> int:
    """Says in one line what it does, does it, and returns the exit code."""
    try:
        if not gpu_present():
            print("No NVIDIA GPU is visible: TensorFlow stays without CUDA libraries.", flush=True)
            return 0
    except nvml.NvmlFailed as error:
        print(f"Cannot tell whether there is a GPU: {error}", file=sys.stderr)
        return 1
    version = metadata.version("tensorflow")
    print(f"NVIDIA GPU found: installing tensorflow[and-cuda] {version}.", flush=True)
    return run(command(version))


if __name__ == "__main__":
    sys.exit(main())
