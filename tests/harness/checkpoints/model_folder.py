"""A trained model's folder, and how tests change it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from benchmarks.harness.checkpoints.checkpoint import find_checkpoint
from benchmarks.harness.checkpoints.start import make_start
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer
from benchmarks.harness.errors import UserError
from frameworks.contract import Start

LABELS = ("entailment", "neutral", "contradiction")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
TINY = ("tiny-bert", "tiny-distilbert", "tiny-gpt2")
PREFIX = {"tiny-bert": "bert.", "tiny-distilbert": "distilbert.", "tiny-gpt2": "transformer."}


def base_folder(folder: Path, shape: str = "tiny-bert", *, prefix: bool = True) -> Path:
    """A checkpoint without a head, as the hub has them."""
    source = find_checkpoint(f"random:{shape}")
    shutil.copytree(source.folder, folder)
    weights = weights_of(make_start(source, ["a", "b"], 7).folder)
    start = PREFIX[shape]
    save(
        folder,
        {
            name if prefix else name.removeprefix(start): value
            for name, value in weights.items()
            if name.startswith(start)
        },
    )
    return folder


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")


def save(folder: Path, weights: dict[str, np.ndarray]) -> None:
    safetensors.numpy.save_file(weights, folder / "model.safetensors", {"format": "pt"})


def start_of(folder: Path, labels=("no", "yes"), seed: int = 1) -> Start:
    return make_start(find_checkpoint(str(folder)), labels, seed)


def change(folder: Path, name: str = "config.json", **changed) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changed))


def tokens(folder: Path, text: str, second: str | None = None) -> list[str]:
    return load_tokenizer(folder, "bert", 64).encode(text, second).tokens


def refused(message: str):
    return pytest.raises(UserError, match=message)
