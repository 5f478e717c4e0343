"""Installs TensorFlow's CUDA libraries if there is an NVIDIA driver to use them.

    python -m frameworks.hf_tf.install_cuda

PyTorch's package brings its libraries along; TensorFlow's does so only as `tensorflow[and-cuda]`,
several gigabytes that a machine without a GPU has no use for.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

CONFLICTING = ("nvidia-cudnn-cu13", "nvidia-nccl-cu13")
DRIVER = Path("/proc/driver/nvidia/version")  # there while the kernel has the driver loaded


def command(version: str) -> list[str]:
    """The pip call: the same TensorFlow, with the libraries that it was built for."""
    return [sys.executable, "-m", "pip", "install", f"tensorflow[and-cuda]=={version}"]


def conflicting_package() -> str | None:
    """A CUDA 13 library of PyTorch's whose files TensorFlow's CUDA 12 one would replace: pip does
    not see that, and one of the two frameworks would load the other's library."""
    for name in CONFLICTING:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return None


def main(run: Callable[[list[str]], int] = subprocess.call, driver: Path = DRIVER) -> int:
    """Prints in one line what it does, does it, and returns the exit code."""
    if not driver.exists():
        print("No NVIDIA driver is loaded: TensorFlow stays without CUDA libraries.", flush=True)
        return 0
    if conflict := conflicting_package():
        print(
            f"{conflict} is installed, of which PyTorch needs another version in the same folder: "
            "let each framework have its own environment, as `tox -e torch,tf` does.",
            flush=True,
        )
        return 1
    version = metadata.version("tensorflow")
    print(f"NVIDIA driver found: installing tensorflow[and-cuda] {version}.", flush=True)
    return run(command(version))


if __name__ == "__main__":
    sys.exit(main())
