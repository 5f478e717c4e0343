"""Texts and labels of a task, before tokenizing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.harness.data.tasks import Task
from results.schema import Data


@dataclass(frozen=True)
class Texts:
    """One set of examples."""

    first: list[str]
    second: list[str] | None
    labels: np.ndarray  # int32 (examples,)

    def __len__(self) -> int:
        return len(self.labels)

    def keys(self) -> list[tuple[str, ...]]:
        """What each example consists of, without its label."""
        if self.second is None:
            return [(text,) for text in self.first]
        return list(zip(self.first, self.second, strict=True))

    def take(self, indices: Sequence[int] | np.ndarray) -> Texts:
        second = None if self.second is None else [self.second[i] for i in indices]
        return Texts([self.first[i] for i in indices], second, self.labels[indices])

    def digest(self) -> bytes:
        """sha256 of texts and labels, in their order."""
        digest = hashlib.sha256()
        for texts in (self.first, self.second or []):
            digest.update(len(texts).to_bytes(8, "little"))
            for text in texts:
                encoded = text.encode("utf-8")
                digest.update(len(encoded).to_bytes(8, "little"))
                digest.update(encoded)
        digest.update(self.labels.astype("<i4").tobytes())
        return digest.digest()

    def examples_digest(self) -> str:
        """Which examples these are, also where the second text of each is left out."""
        return Texts(self.first, None, self.labels).digest().hex()

    def count_empty(self) -> int:
        return sum(not text.strip() for text in self.first + (self.second or []))


@dataclass(frozen=True)
class TaskData:
    """A task with the examples that a run uses."""

    task: Task  # with the label names and evaluation sets that its data turned out to have
    train: Texts
    evaluations: dict[str, Texts]  # by shown name
    record: Data


@dataclass(frozen=True)
class Found:
    """All examples that a source has, before a subset is drawn."""

    task: Task
    train: Texts
    evaluations: dict[str, Texts]
    notes: tuple[str, ...] = ()
