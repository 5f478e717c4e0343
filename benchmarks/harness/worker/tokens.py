"""Counts of the examples, tokens and padding in executed steps. Pure arithmetic on the feed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from frameworks.contract import Examples, Feed, Recipe, padded_width


@dataclass(frozen=True)
class StepCounts:
    examples: int
    tokens: int  # without padding
    padded_tokens: int  # with padding


def count_steps(feed: Feed, done_before: int, done_after: int) -> StepCounts:
    """Counts of the optimizer steps done_before + 1 to done_after."""
    batches: list[np.ndarray] = []
    epoch, of_epoch = -1, []
    for step in range(done_before, done_after):
        if step // feed.steps_per_epoch != epoch:
            epoch = step // feed.steps_per_epoch
            of_epoch = feed.batch_indices(epoch)
        first = step % feed.steps_per_epoch * feed.recipe.accumulation
        batches += of_epoch[first : first + feed.recipe.accumulation]
    return _count(feed.examples, batches, feed.recipe)


def count_evaluation(examples: Examples, recipe: Recipe) -> StepCounts:
    """Counts of one pass over the examples in their order."""
    indices = np.arange(len(examples))
    starts = range(0, len(examples), recipe.batch_size)
    return _count(examples, (indices[i : i + recipe.batch_size] for i in starts), recipe)


def _count(examples: Examples, batches: Iterable[np.ndarray], recipe: Recipe) -> StepCounts:
    lengths = examples.lengths
    count = tokens = padded = 0
    for indices in batches:
        of_batch = lengths[indices]
        count += len(indices)
        tokens += int(of_batch.sum())
        padded += len(indices) * padded_width(int(of_batch.max()), recipe)
    return StepCounts(examples=count, tokens=tokens, padded_tokens=padded)
