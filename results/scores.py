"""Scores of a classifier, as pure functions of counts; the workers and the report share them."""

from __future__ import annotations

import numpy as np


def confusion(labels: np.ndarray, predicted: np.ndarray, label_count: int) -> np.ndarray:
    """Counts int (label_count, label_count) by label and predicted label, from int (examples,) each.

    Errors: ValueError where the two have different lengths or no example."""
    if len(labels) != len(predicted) or not len(labels):
        raise ValueError(f"{len(labels)} labels and {len(predicted)} predictions")
    cells = labels.astype(np.int64) * label_count + predicted
    return np.bincount(cells, minlength=label_count**2).reshape(label_count, label_count)


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Unweighted mean of every label's F1, float (...), from confusion counts
    (..., labels, labels). A label that neither occurs nor is predicted counts as 0."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    either = counts.sum(axis=-1) + counts.sum(axis=-2)
    scores: np.ndarray = np.mean(2 * right / np.maximum(either, 1), axis=-1)
    return scores
