"""Tokenised examples as files, and parts of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from benchmarks.harness.errors import UserError
from frameworks.contract import Examples


def load_examples(path: Path) -> Examples:
    """What `tokenise` wrote; raises UserError when the file is damaged."""
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
            f"tokenised data {str(path)!r} is missing or damaged ({error}): run again "
            "to make it anew"
        ) from error
    return examples


def _is_good(path: Path) -> bool:
    try:
        load_examples(path)
    except UserError:
        return False
    return True


def _save(examples: Examples, path: Path) -> None:
    with path.open("wb") as file:
        np.savez(
            file,
            ids=examples.ids,
            offsets=examples.offsets,
            second_starts=examples.second_starts,
            labels=examples.labels,
            pad_id=examples.pad_id,
            has_token_types=examples.has_token_types,
        )


def head(examples: Examples, count: int) -> Examples:
    """The first examples, at most `count`."""
    count = min(count, len(examples))
    return Examples(
        ids=examples.ids[: examples.offsets[count]],
        offsets=examples.offsets[: count + 1],
        second_starts=examples.second_starts[:count],
        labels=examples.labels[:count],
        pad_id=examples.pad_id,
        has_token_types=examples.has_token_types,
    )


def some(examples: Examples, count: int) -> Examples:
    """`count` examples, evenly spread over all, or all where there are fewer."""
    if count >= len(examples):
        return examples
    chosen = np.arange(count) * len(examples) // count
    rows = [examples.ids[examples.offsets[i] : examples.offsets[i + 1]] for i in chosen]
    return Examples(
        ids=np.concatenate(rows),
        offsets=np.cumsum([0, *map(len, rows)]),
        second_starts=examples.second_starts[chosen],
        labels=examples.labels[chosen],
        pad_id=examples.pad_id,
        has_token_types=examples.has_token_types,
    )


def exactly(examples: Examples, count: int) -> Examples:
    """`count` examples: the first ones, or all of them again and again where there are fewer. A
    limit may lie above the data set: memory does not ask whether examples differ."""
    chosen = np.arange(count) % len(examples)
    rows = [examples.ids[examples.offsets[i] : examples.offsets[i + 1]] for i in chosen]
    return Examples(
        ids=np.concatenate(rows),
        offsets=np.cumsum([0, *map(len, rows)]),
        second_starts=examples.second_starts[chosen],
        labels=examples.labels[chosen],
        pad_id=examples.pad_id,
        has_token_types=examples.has_token_types,
    )
