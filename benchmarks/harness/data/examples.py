"""Tokenized examples as files, and parts of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from benchmarks.harness.errors import UserError
from frameworks.contract import Examples


def load_examples(path: Path) -> Examples:
    """Reads what `save_examples` wrote. Raises UserError when the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            examples = Examples(
                ids=file["ids"],
                offsets=file["offsets"],
                second_starts=file["second_starts"],
                labels=file["labels"],
                pad_id=int(file["pad_id"]),
                has_token_types=bool(file["has_token_types"]),
            )
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"tokenized data {str(path)!r} is missing or damaged ({error}): run again to rebuild it"
        ) from error
    return examples


def is_readable(path: Path) -> bool:
    try:
        load_examples(path)
        count_truncated(path)
    except (UserError, KeyError):  # damaged, or written by an older version
        return False
    return True


def save_examples(examples: Examples, truncated: int, path: Path) -> None:
    """Writes tokenized examples, and how many of them were cut to the length."""
    with path.open("wb") as file:
        np.savez(
            file,
            ids=examples.ids,
            offsets=examples.offsets,
            second_starts=examples.second_starts,
            labels=examples.labels,
            pad_id=examples.pad_id,
            has_token_types=examples.has_token_types,
            truncated=truncated,
        )


def count_truncated(path: Path) -> int:
    """How many of the examples that `save_examples` wrote were cut to the length."""
    with np.load(path, allow_pickle=False) as file:
        return int(file["truncated"])


def take(examples: Examples, indices: np.ndarray) -> Examples:
    """The examples at `indices`, in that order; an index may occur more than once."""
    rows = [examples.ids[examples.offsets[i] : examples.offsets[i + 1]] for i in indices]
    return Examples(
        ids=np.concatenate(rows) if rows else examples.ids[:0],
        offsets=np.cumsum([0, *map(len, rows)]),
        second_starts=examples.second_starts[indices],
        labels=examples.labels[indices],
        pad_id=examples.pad_id,
        has_token_types=examples.has_token_types,
    )


def take_spread(examples: Examples, count: int) -> Examples:
    """`count` examples, evenly spread over all, or all where there are fewer."""
    if count >= len(examples):
        return examples
    return take(examples, np.arange(count) * len(examples) // count)


def take_repeated(examples: Examples, count: int) -> Examples:
    """Exactly `count` examples: the first ones, repeated from the start where there are fewer.
    A batch may exceed the data set, and neither memory nor speed depends on whether examples
    differ."""
    return take(examples, np.arange(count) % len(examples))
