"""Which examples of a task are used, and what is changed about them before anything is trained."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.harness.data.texts import Found, Texts
from benchmarks.harness.errors import UserError

Count = Annotated[int, Field(ge=1, lt=2**31)]


class DataChoice(BaseModel):
    """The examples that a training uses. They are drawn first, then split again, then reduced to a
    share, then shortened to one text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    train_examples: Count | None = None
    """Training examples, drawn by `data_seed`; none: all."""
    evaluation_examples: Count | None = None
    """Examples of each evaluation set; none: all."""
    resplit: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """Join the drawn training and evaluation examples and split them again by `data_seed`,
    stratified by label, with this many training examples per evaluation example."""
    train_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the training examples that is used, drawn by `data_seed`; a smaller share lies inside
    every larger one."""
    first_text_only: bool = False
    """Leave out the second text of every pair: the premise alone."""

    @property
    def changes_examples(self) -> bool:
        return bool(self.resplit or self.train_share or self.first_text_only)


def split_again(found: Found, ratio: float, seed: int) -> Found:
    """All examples joined and split again, `ratio` training examples per evaluation example.

    Errors: UserError for several evaluation sets, and for a part that would lack a label."""
    task = found.task
    if len(found.evaluations) != 1:
        raise UserError(
            f"resplit = {ratio:g}: task {task.name!r} has {len(found.evaluations)} evaluation sets "
            f"({', '.join(found.evaluations)}), which differ in kind: use a task with one"
        )
    ((name, held_out),) = found.evaluations.items()
    texts = _joined(found.train, held_out)
    generator = np.random.Generator(np.random.PCG64([seed, 2]))
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label in np.unique(texts.labels):
        members = generator.permutation(np.flatnonzero(texts.labels == label))
        training = round(len(members) * ratio / (1 + ratio))
        if not 0 < training < len(members):
            raise UserError(
                f"resplit = {ratio:g}: {len(members):,} {task.item}s with the label "
                f"{task.label_names[label]!r} are too few: use more examples or a ratio nearer to 1"
            )
        parts[0].append(members[:training])
        parts[1].append(members[training:])
    train, evaluation = (texts.take(np.sort(np.concatenate(part))) for part in parts)
    return dataclasses.replace(found, train=train, evaluations={name: evaluation})


def first_texts(found: Found) -> Found:
    """The pairs without their second text. Errors: UserError where there is none."""
    if found.train.second is None:
        raise UserError(
            f"first_text_only: task {found.task.name!r} has one text per example: leave it out"
        )

    def first(texts: Texts) -> Texts:
        return Texts(texts.first, None, texts.labels)

    evaluations = {name: first(texts) for name, texts in found.evaluations.items()}
    return dataclasses.replace(found, train=first(found.train), evaluations=evaluations)


def description(choice: DataChoice, train: int, evaluation: int, seed: int) -> str:
    """'; joined and split again 4:1 by seed 42 ...'; for examples that are changed."""
    parts = []
    if choice.resplit:
        parts.append(f"joined and split again {choice.resplit:g}:1 by seed {seed}")
    if choice.train_share:
        parts.append(f"{100 * choice.train_share:g} % of the training examples by seed {seed}")
    if choice.first_text_only:
        parts.append("first text of each pair only")
    return f"; {', '.join(parts)}: {train:,} to train on, {evaluation:,} to evaluate on"


def _joined(first: Texts, second: Texts) -> Texts:
    both = None
    if first.second is not None and second.second is not None:
        both = first.second + second.second
    return Texts(first.first + second.first, both, np.concatenate([first.labels, second.labels]))
