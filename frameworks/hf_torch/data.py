"""PyTorch's DataLoader over the feed: its order, its batches, shuffling off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from frameworks.contract import Examples, Feed, Recipe


class Indices(Dataset):
    """Examples by their index alone; the batch is put together from the indices."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self.examples, self.batch_size = examples, batch_size

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> int:
        return index


class FeedOrder(Sampler[int]):
    """The feed's order; every iteration is the next epoch."""

    def __init__(self, feed: Feed, epoch: int) -> None:
        self.feed, self.epoch = feed, epoch

    def __len__(self) -> int:
        return len(self.feed.examples)

    def __iter__(self) -> Iterator[int]:
        order = self.feed.order(self.epoch)
        self.epoch += 1
        return iter(order.tolist())


def training_batches(feed: Feed, epoch: int = 0) -> DataLoader:
    """int32 tensors `input_ids`, `attention_mask`, `token_type_ids` (batch, width) and `labels`
    (batch,), epoch after epoch in the feed's order, from `epoch` on."""
    indices = Indices(feed.examples, feed.recipe.batch_size)
    return _loader(indices, feed.recipe, FeedOrder(feed, epoch))


def evaluation_batches(examples: Examples, recipe: Recipe, *, batch_size: int) -> DataLoader:
    """The same without labels, in the examples' order, the partial batch included."""
    return _loader(Indices(examples, batch_size), recipe, None)


def _loader(indices: Indices, recipe: Recipe, order: FeedOrder | None) -> DataLoader:
    def collate(chosen: list[int]) -> dict[str, torch.Tensor]:
        batch = indices.examples.collate(np.array(chosen), recipe)
        if order is None:
            del batch["labels"]
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    return DataLoader(
        indices,
        batch_size=indices.batch_size,
        sampler=order,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        # A loader draws a seed when it starts; its own generator leaves dropout's stream alone.
        generator=torch.Generator(),
    )
