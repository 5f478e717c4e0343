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
    scores: np.ndarray = np.mean(_f1_by_label(counts), axis=-1)
    return scores


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """Mean of every label's F1 weighted by how often the label occurs, float (...), from confusion
    counts (..., labels, labels)."""
    occurs = counts.sum(axis=-1)
    weighted = (_f1_by_label(counts) * occurs).sum(axis=-1)
    scores: np.ndarray = weighted / np.maximum(occurs.sum(axis=-1), 1)
    return scores


def _f1_by_label(counts: np.ndarray) -> np.ndarray:
    """F1 of every label, float (..., labels); 0 for one that neither occurs nor is predicted."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    either = counts.sum(axis=-1) + counts.sum(axis=-2)
    scores: np.ndarray = 2 * right / np.maximum(either, 1)
    return scores


def matthews(counts: np.ndarray) -> float:
    """Matthews's correlation of confusion counts (labels, labels), in Gorodkin's (2004) form for
    several labels; 0 where one side is constant."""
    total, right = float(counts.sum()), float(np.trace(counts))
    labels, predicted = counts.sum(axis=1).astype(float), counts.sum(axis=0).astype(float)
    spread = (total**2 - (labels**2).sum()) * (total**2 - (predicted**2).sum())
    return float((right * total - labels @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv 1706.04599) of logits (examples, labels)
    for labels int (examples,): the mean distance of confidence and accuracy over `bins` equally
    wide bins of the highest probability, weighted by the examples in each."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    chances = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    confidence, right = chances.max(axis=1), logits.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
