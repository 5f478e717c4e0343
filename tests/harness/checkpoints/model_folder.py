"""A trained model's folder, and how tests change it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.harness.checkpoints.tokenizers import load_tokenizer
from benchmarks.harness.errors import UserError

LABELS = ("entailment", "neutral", "contradiction")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def change(folder: Path, name: str = "config.json", **changed) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changed))


def tokens(folder: Path, text: str, second: str | None = None) -> list[str]:
    return load_tokenizer(folder, "bert", 64).encode(text, second).tokens


def refused(message: str):
    return pytest.raises(UserError, match=message)
