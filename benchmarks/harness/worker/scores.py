"""Scores from logits and labels. Pure functions on numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite

import numpy as np

from benchmarks.harness.plan.metrics import Metrics
from frameworks.contract import LOSS
from results.schema import EvaluationPoint, Score
from results.scores import confusion, macro_f1


def score(logits: np.ndarray, labels: np.ndarray, metrics: Metrics | None = None) -> Score:
    """Accuracy, macro F1 and mean cross entropy (natural logarithm) of logits
    (examples, classes) for labels (examples,), and the metrics that were asked for.

    Macro F1 is the unweighted mean over all classes; a class that neither occurs nor is
    predicted counts as 0.

    Errors: ValueError where the shapes do not fit, a logit is not finite, or a metric raises."""
    if logits.shape[:1] != labels.shape or logits.ndim != 2:
        raise ValueError(f"logits {logits.shape} do not fit labels {labels.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits hold NaN or infinity: the training diverged")
    predicted = logits.argmax(axis=1)
    return Score(
        examples=len(labels),
        accuracy=float((predicted == labels).mean()),
        macro_f1=float(macro_f1(confusion(labels, predicted, logits.shape[1]))),
        loss=cross_entropy(logits, labels),
        metrics=metrics.of(predicted, labels, logits.shape[1]) if metrics else None,
    )


def score_of(score: Score, name: str) -> float:
    """A score by its metric's name, with a sign so that the larger one is better; minus infinity where
    the metric is undefined."""
    if name == LOSS:
        return -score.loss
    metrics = score.metrics or {}
    value = metrics[name] if name in metrics else float(getattr(score, name))
    return value if isfinite(value) else -inf


def undefined_metrics(scores: Mapping[str, Score]) -> dict[str, str]:
    """What the metrics without a finite value return, in words, by metric: scores by evaluation set."""
    return {
        metric: f"metric {metric} returns {value} on evaluation set {name!r}"
        for name, score in scores.items()
        for metric, value in (score.metrics or {}).items()
        if not isfinite(value)
    }


def evaluations_since_best(evaluations: Sequence[EvaluationPoint], name: str) -> int:
    """How many evaluations in a row, up to the last, did not improve the first evaluation set's score
    of this name."""
    values = [score_of(next(iter(e.scores.values())), name) for e in evaluations]
    return len(values) - 1 - values.index(max(values))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1))
    return float((log_total - shifted[np.arange(len(labels)), labels]).mean())
