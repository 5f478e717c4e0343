"""Tokenizes a task once for all jobs and backends, and caches the result by content.

A file's name is the digest of everything that determines its content: texts, labels, tokenizer
files, architecture and length. Workers read it without a tokenizer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness.checkpoints.cache import cache_folder, make_once
from benchmarks.harness.checkpoints.checkpoint import CheckpointSource, check_length
from benchmarks.harness.checkpoints.tokenizers import load_tokenizer, tokenizer_digest
from benchmarks.harness.data.examples import is_readable, save_examples
from benchmarks.harness.data.texts import TaskData, Texts
from benchmarks.harness.errors import UserError
from frameworks.contract import Examples

FORMAT = 1  # increase it whenever the same input gives different content
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
            save_examples(_encode(texts, checkpoint, length), path)

        cached.append(make_once(target, make, is_readable))
        return target

    train = prepare(data.train)
    evaluations = {name: prepare(texts) for name, texts in data.evaluations.items()}
    return Prepared(train, evaluations, all(cached))


def _encode(texts: Texts, checkpoint: CheckpointSource, length: int) -> Examples:
    tokenizer = load_tokenizer(checkpoint.folder, checkpoint.architecture, length)
    ids: list[np.ndarray] = []
    second_starts: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        first = texts.first[start : start + _CHUNK]
        second = texts.second[start : start + _CHUNK] if texts.second is not None else None
        inputs = first if second is None else list(zip(first, second, strict=True))
        for encoding in tokenizer.encode_batch_fast(inputs):
            ids.append(np.array(encoding.ids, np.int32))
            second_starts.append(len(encoding.ids) - sum(encoding.type_ids))
    if (
        checkpoint.architecture == "gpt2"
    ):  # adds no special token, so a text may have no token at all
        blank = np.array(tokenizer.encode("\n").ids[:1], np.int32)
        second_starts = [
            at or (len(blank) if not len(row) else at)
            for at, row in zip(second_starts, ids, strict=True)
        ]
        ids = [row if len(row) else blank for row in ids]
    flat = np.concatenate(ids)
    _check_ids(flat, checkpoint)
    lengths = np.array([len(row) for row in ids], np.int64)
    return Examples(
        ids=flat,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        second_starts=np.array(second_starts, np.int32),
        labels=texts.labels.astype(np.int32),
        pad_id=checkpoint.pad_id,
        has_token_types=checkpoint.architecture == "bert",
    )


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
