"""How `fit` counts epochs."""

from __future__ import annotations

from frameworks.contract import SessionSpec


def fit_length(spec: SessionSpec, done: int) -> dict[str, int]:
    """The `epochs` and `steps_per_epoch` of `fit` after `done` batches. The dataset continues from
    epoch to epoch by itself, so one long epoch does, except for a user's callbacks, which see the real
    ones; a training with callbacks is never resumed."""
    feed = spec.feed
    if not spec.callbacks:
        return {"epochs": 1, "steps_per_epoch": feed.total_batches - done}
    batches = min(feed.batches_per_epoch, feed.total_batches)
    return {"epochs": -(-feed.total_batches // batches), "steps_per_epoch": batches}
