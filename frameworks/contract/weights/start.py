"""The starting point of all backends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frameworks.contract.recipe import Architecture


@dataclass(frozen=True)
class Start:
    """A folder with config.json and a complete model.safetensors under PyTorch's parameter names,
    classification head included."""

    folder: Path
    architecture: Architecture
    label_count: int
    vocabulary_size: int
    max_length: int  # the longest sequence that the model has positions for
