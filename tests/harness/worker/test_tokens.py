"""Counted work is what the executed steps really held."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.data.examples import take_repeated
from benchmarks.harness.worker.tokens import count_evaluation, count_steps
from frameworks.contract import Examples, Feed, Recipe


def make_examples(lengths: list[int]) -> Examples:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Examples(
        ids=np.arange(1, offsets[-1] + 1, dtype=np.int32),
        offsets=offsets,
        second_starts=np.array(lengths, np.int32),
        labels=np.zeros(len(lengths), np.int32),
        pad_id=0,
        has_token_types=False,
    )


@given(
    lengths=st.lists(st.integers(1, 16), min_size=1, max_size=40),
    batch_size=st.integers(1, 7),
    accumulation=st.integers(1, 4),
    padding=st.sampled_from(["max", "longest", "buckets"]),
    first=st.integers(0, 9),
    steps=st.integers(1, 9),
)
def test_counts_equal_the_batches_that_a_loader_yields(
    lengths: list[int], batch_size: int, accumulation: int, padding: str, first: int, steps: int
) -> None:
    recipe = Recipe.model_validate(
        {"batch_size": batch_size, "accumulation": accumulation, "padding": padding, "length": 16}
    )
    feed = Feed(make_examples(lengths), recipe)
    examples = tokens = padded = done = 0
    loader = feed.endless()
    while done < first + steps:
        # An epoch's last step holds what is left of it.
        left = feed.batches_per_epoch - done % feed.steps_per_epoch * accumulation
        batches = [next(loader) for _ in range(min(accumulation, left))]
        done += 1
        if done > first:
            examples += sum(len(b["labels"]) for b in batches)
            tokens += sum(int(b["attention_mask"].sum()) for b in batches)
            padded += sum(b["input_ids"].size for b in batches)
    counted = count_steps(feed, first, first + steps)
    assert (counted.examples, counted.tokens, counted.padded_tokens) == (examples, tokens, padded)


def test_evaluation_counts_every_example_once() -> None:
    examples = make_examples([3, 9, 1, 4, 4])
    counted = count_evaluation(examples, Recipe(batch_size=2, padding="longest", length=16))
    assert (counted.examples, counted.tokens) == (5, 21)
    assert counted.padded_tokens == 2 * 9 + 2 * 4 + 1 * 4


def test_examples_are_repeated_where_there_are_too_few() -> None:
    examples = take_repeated(make_examples([3, 9, 1]), 2)
    assert (len(examples), len(examples.ids), list(examples.lengths)) == (2, 12, [3, 9])
    assert list(take_repeated(examples, 5).lengths) == [3, 9, 3, 9, 3]
