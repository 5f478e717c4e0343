"""Scores and curves of a whole training."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from results.schema.job import Record

# The two-sided sign-flip test of n seeds cannot give less than 2 / 2^n: 6 is the first n below 0.05.
FEWEST_SEEDS = 6


class Score(Record):
    """One evaluation set under one set of weights."""

    examples: int
    accuracy: float
    macro_f1: float
    loss: float
    metrics: dict[str, float] | None = None  # further ones that were asked for, by name


# Not a Record: a run has thousands, and slots take a fifth of the memory.
@dataclass(slots=True, config=Record.model_config)
class CurvePoint:
    step: int
    loss: float
    gradient_norm: float | None
    learning_rate: float


class EvaluationPoint(Record):
    step: int
    training_seconds: float  # without evaluation; with the first step
    scores: dict[str, Score]


class Accuracy(Record):
    question: Literal["accuracy"] = "accuracy"
    seed: int
    steps: int
    examples: int  # trained on
    training_seconds: float  # without evaluation
    first_step_seconds: float
    evaluation_seconds: float
    scores: dict[str, Score]  # by evaluation set, of the weights that are kept
    kept_step: int  # the step whose weights those are
    resumed_at_steps: list[int] = []  # after which it was stopped and continued from a checkpoint
    stopped_early: bool = False  # because evaluations no longer improved
    curve: list[CurvePoint]
    evaluations: list[EvaluationPoint]
    model_folder: str | None = None  # in the same folder, where the model was kept
    predictions_file: str | None = None  # in the same folder: logits and labels, .npz
