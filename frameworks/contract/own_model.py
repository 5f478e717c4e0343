"""A model of the user's own: how its function is called, and what the model has to return."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from frameworks.contract.feed import Batch
from frameworks.contract.session import SessionSpec

ROWS = 2  # of the batch that every new model is tried with


def make_model(spec: SessionSpec) -> Any:
    """Calls the user's function with those arguments of `arguments` that it names.

    Errors: ValueError where it requires others, and whatever it raises."""
    assert spec.own_model is not None
    given = arguments(spec)
    parameters = inspect.signature(spec.own_model).parameters
    required = [n for n, p in parameters.items() if p.default is p.empty and p.kind not in VARIABLE]
    if unknown := [name for name in required if name not in given]:
        raise ValueError(f"it requires {', '.join(unknown)}, but is given {', '.join(given)}")
    return spec.own_model(**{name: given[name] for name in parameters if name in given})


VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def arguments(spec: SessionSpec) -> dict[str, int | bool | float | None]:
    """What a user's function may ask for."""
    return {
        "label_count": spec.start.label_count,
        "vocabulary_size": spec.start.vocabulary_size,
        "pad_id": spec.train.pad_id,
        "length": spec.recipe.length,
        "seed": spec.recipe.seed,
        "has_token_types": spec.train.has_token_types,
        "dropout": spec.recipe.dropout,
    }


def first_batch(spec: SessionSpec) -> Batch:
    """A few examples that a new model is tried with, before it trains."""
    return spec.train.collate(np.arange(min(ROWS, len(spec.train))), spec.recipe)


def check_logits(shape: Sequence[int], spec: SessionSpec) -> None:
    """Errors: ValueError for logits that are not one row per example with one number per label."""
    wanted = (min(ROWS, len(spec.train)), spec.start.label_count)
    if tuple(shape) != wanted:
        raise ValueError(
            f"its model returns logits of shape {tuple(shape)} for {wanted[0]} texts and {wanted[1]} "
            f"labels, not {wanted}"
        )


def check_parameters(count: int) -> None:
    """Errors: ValueError for a model without parameters to train."""
    if not count:
        raise ValueError("its model has no parameters to train")
