"""Tokenizes a task once for all jobs and backends, and caches the result by content.

A file's name is the digest of everything that determines its content: texts, labels, tokenizer
files, architecture and length. Workers read it without a tokenizer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness.checkpoints.cache import cache_folder, make_once
from benchmarks.harness.checkpoints.checkpoint import CheckpointSource, check_length
from benchmarks.harness.checkpoints.config import read_config
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer, tokenizer_digest
from benchmarks.harness.data.examples import (
    count_truncated,
    is_readable,
    load_examples,
    save_examples,
)
from benchmarks.harness.data.texts import TaskData, Texts
from benchmarks.harness.errors import UserError, first_line, printable
from frameworks.contract import Examples
from results.schema.job import SetSummary

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

FORMAT = 3  # increase it whenever the same input gives different content
SHOWN_CLASSES, SHOWN_CHARACTERS = 8, 40  # in the summary of the data
_CHUNK = 2_000  # texts tokenized at a time, to limit memory


@dataclass(frozen=True)
class Prepared:
    """Paths of the tokenized examples of one task."""

    train: Path
    evaluations: dict[str, Path]  # by shown name
    reused: bool  # everything was in the cache


def tokenize_task(
    data: TaskData, checkpoint: CheckpointSource, length: int, cache: Path | None = None
) -> Prepared:
    """Tokenizes every set of `data` to at most `length` tokens, unless `cache` (default:
    cache_folder()) has it. Raises UserError when the model has no positions for `length`."""
    check_length(checkpoint, length)
    folder = (cache or cache_folder()) / "tokenized"
    tokenizer = tokenizer_digest(checkpoint.folder)
    cached = []

    def prepare(texts: Texts) -> Path:
        about = f"{FORMAT} {checkpoint.architecture} {checkpoint.pad_id} {length} ".encode()
        key = hashlib.sha256(about + tokenizer + texts.digest()).hexdigest()
        target = folder / f"{key[:40]}.npz"

        def make(path: Path) -> None:
            save_examples(*_encode(texts, checkpoint, length), path)

        cached.append(make_once(target, make, is_readable))
        return target

    train = prepare(data.train)
    evaluations = {name: prepare(texts) for name, texts in data.evaluations.items()}
    return Prepared(train, evaluations, all(cached))


def _encode(texts: Texts, checkpoint: CheckpointSource, length: int) -> tuple[Examples, int]:
    """The examples, and how many of them were cut to `length`."""
    if texts.second is not None:
        _check_segments(checkpoint)
    tokenizer = load_tokenizer(checkpoint.folder, checkpoint.architecture, length)
    ids: list[np.ndarray] = []
    truncated = 0
    second_starts: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        first = texts.first[start : start + _CHUNK]
        second = texts.second[start : start + _CHUNK] if texts.second is not None else None
        inputs = first if second is None else list(zip(first, second, strict=True))
        for encoding in _encode_batch(tokenizer, inputs, checkpoint):
            truncated += bool(encoding.overflowing)
            ids.append(np.array(encoding.ids, np.int32))
            second_starts.append(len(encoding.ids) - sum(encoding.type_ids))
    if checkpoint.architecture == "gpt2":  # without special tokens, a text may have no token
        blank = np.array(tokenizer.encode("\n").ids[:1], np.int32)
        second_starts = [
            at or (len(blank) if not len(row) else at)
            for at, row in zip(second_starts, ids, strict=True)
        ]
        ids = [row if len(row) else blank for row in ids]
    flat = np.concatenate(ids)
    _check_ids(flat, checkpoint)
    lengths = np.array([len(row) for row in ids], np.int64)
    examples = Examples(
        ids=flat,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        second_starts=np.array(second_starts, np.int32),
        labels=texts.labels.astype(np.int32),
        pad_id=checkpoint.pad_id,
        has_token_types=checkpoint.architecture == "bert",
    )
    return examples, truncated


def _check_segments(checkpoint: CheckpointSource) -> None:
    """Raises UserError for a BERT that has no embedding for the second text of a pair."""
    if checkpoint.architecture == "bert":
        segments = read_config(checkpoint.folder, checkpoint.name).get("type_vocab_size", 2)
        if segments < 2:
            raise UserError(
                f"checkpoint {checkpoint.name!r} has type_vocab_size = {segments} in config.json, so "
                "it cannot tell the two texts of a pair apart: use another checkpoint"
            )


def _encode_batch(
    tokenizer: Tokenizer, inputs: Sequence[Any], checkpoint: CheckpointSource
) -> list[Encoding]:
    try:
        return tokenizer.encode_batch_fast(inputs)
    except Exception as error:  # the library raises nothing narrower
        raise UserError(
            f"checkpoint {checkpoint.name!r}: its tokenizer fails: {first_line(error)}"
        ) from error


def summarize(data: TaskData, prepared: Prepared) -> list[SetSummary]:
    """Rows, labels, lengths, truncation and duplicates of every set."""
    training = set(data.train.keys())
    sets = {"train": (data.train, prepared.train)}
    sets |= {name: (texts, prepared.evaluations[name]) for name, texts in data.evaluations.items()}
    found = []
    for name, (texts, path) in sets.items():
        keys = texts.keys()
        characters = np.array([sum(map(len, key)) for key in keys])
        tokens = np.diff(load_examples(path).offsets)
        found.append(
            SetSummary(
                name=name,
                rows=len(texts),
                label_counts=np.bincount(
                    texts.labels, minlength=len(data.task.label_names)
                ).tolist(),
                characters_median=float(np.median(characters)),
                characters_max=int(characters.max()),
                tokens_median=float(np.median(tokens)),
                tokens_max=int(tokens.max()),
                truncated=count_truncated(path),
                duplicates=len(keys) - len(set(keys)),
                in_training=0 if name == "train" else sum(key in training for key in keys),
                fingerprint=texts.examples_digest(),
            )
        )
    return found


def describe_data(data: TaskData, sets: Sequence[SetSummary], length: int) -> str:
    """One line about the data of a task, from the summaries of its sets, the training set first:
    rows, classes with counts, tokens, truncation."""
    train, names = sets[0], data.task.label_names
    classes = [
        f"{_short(name)} {count:,}" for name, count in zip(names, train.label_counts, strict=True)
    ]
    more = f" and {len(names) - SHOWN_CLASSES} more" if len(names) > SHOWN_CLASSES else ""
    truncated = sum(one.truncated for one in sets)
    rows = {"training": train.rows} | {one.name: one.rows for one in sets[1:]}
    total = sum(rows.values())
    return printable(
        f"{data.task.title}: {total:,} rows ("
        + ", ".join(f"{count:,} {name}" for name, count in rows.items())
        + f"), {len(names)} classes ({', '.join(classes[:SHOWN_CLASSES])}{more}), median "
        f"{int(train.tokens_median)} and at most {train.tokens_max} tokens, "
        f"{truncated / total:.1%} truncated at {length}"
    )


def _short(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        name = repr(name)
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}…"


def _check_ids(ids: np.ndarray, checkpoint: CheckpointSource) -> None:
    if int(ids.max()) >= checkpoint.vocabulary_size:
        raise UserError(
            f"checkpoint {checkpoint.name!r}: its tokenizer produces token "
            f"{int(ids.max())}, but its config.json has a vocabulary of "
            f"{checkpoint.vocabulary_size:,}: use the tokenizer files that belong to the model"
        )
    if checkpoint.architecture == "gpt2" and np.any(ids == checkpoint.pad_id):
        raise UserError(
            f"checkpoint {checkpoint.name!r}: its tokenizer produces the padding token "
            f"{checkpoint.pad_id} inside a text: set another eos_token_id or pad_token_id in "
            "config.json"
        )
