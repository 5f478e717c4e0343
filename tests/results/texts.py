"""A report of a run in the texts that tests read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from results.report import as_markdown, render

MakeRun = Callable[..., Path]
TITLES = {"hf_torch": "PyTorch", "hf_tf": "TensorFlow", "keras_rnn": "Keras LSTM"}


def words(folder: Path) -> str:
    return as_markdown([folder], TITLES)


def both(folder: Path, **options: object) -> tuple[str, str]:
    paths = render([folder], titles=TITLES, **options)  # type: ignore[arg-type]
    return words(folder), paths.html.read_text("utf-8")


def sections_of(markdown: str) -> dict[str, str]:
    parts = markdown.split("\n## ")[1:]
    return {part.split("\n", 1)[0]: part for part in parts}
