"""A trained model as a folder that transformers' `from_pretrained` loads."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from frameworks.contract.weights.start import Start


def save_pretrained(folder: Path, start: Start, weights: Mapping[str, np.ndarray]) -> None:
    """Writes the start's config.json, which has the label names, and a model.safetensors with these
    weights, float32 under PyTorch's names; what is not trained stays as in the start.

    One writer for all backends: transformers 5 no longer loads the files that its TensorFlow models
    used to save. Errors: OSError, and KeyError for weights that the start does not have."""
    from safetensors.numpy import load_file, save_file

    complete = load_file(start.folder / "model.safetensors")
    unknown = weights.keys() - complete.keys()
    if unknown:
        raise KeyError(f"the checkpoint has no weights {sorted(unknown)}")
    save_file(
        {**complete, **{name: np.ascontiguousarray(value) for name, value in weights.items()}},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    shutil.copyfile(start.folder / "config.json", folder / "config.json")
