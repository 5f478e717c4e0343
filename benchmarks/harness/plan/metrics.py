"""Metrics: functions of predicted and true labels, ftbench's own and the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from math import isfinite
from pathlib import Path

import numpy as np

from benchmarks.harness.errors import UserError
from frameworks.contract import LOSS, Recipe, described, load_user_code
from results import scores

Function = Callable[[np.ndarray, np.ndarray], float]  # of predictions and labels, int (examples,)
Counts = Callable[[np.ndarray], float]  # of confusion counts (labels, labels)
OF_COUNTS: dict[str, Counts] = {
    "weighted_f1": lambda counts: float(scores.weighted_f1(counts)),
    "mcc": scores.matthews,
}
ALWAYS = ("accuracy", "macro_f1", LOSS)  # that every score has


class Metrics:
    """The metrics that a job asks for besides those that every score has."""

    def __init__(self, names: Iterable[str], folder: Path) -> None:
        """`folder` is where the user's modules are. Errors: ValueError where one cannot be imported."""
        self._functions = {
            name: None if name in OF_COUNTS else find_function(name, folder) for name in names
        }

    def of(self, predicted: np.ndarray, labels: np.ndarray, label_count: int) -> dict[str, float]:
        """Every metric by name, of int (examples,) each; NaN where one is undefined. Errors: ValueError
        where a function raises, or returns anything but a number."""
        counts = scores.confusion(labels, predicted, label_count)
        return {
            name: OF_COUNTS[name](counts)
            if function is None
            else call(name, function, predicted, labels)
            for name, function in self._functions.items()
        }


def asked_metrics(names: Iterable[str], recipe: Recipe) -> list[str]:
    """The metrics besides those that every score has: of a profile, and those that select weights."""
    chosen = [*names, *filter(None, [recipe.keep_best])]
    return [name for name in dict.fromkeys(chosen) if name not in ALWAYS]


def check_metrics(names: Iterable[str], folder: Path) -> None:
    """Calls every metric with four examples of two labels, before anything is trained.

    Errors: UserError for one that cannot be imported, raises, or returns no number."""
    labels = np.array([0, 1, 1, 0])
    for name in names:
        try:
            found = Metrics([name], folder).of(np.array([0, 1, 0, 0]), labels, 2)
            if not isfinite(found[name]):
                raise ValueError(f"{name} returns {found[name]}, not a finite number")
        except ValueError as error:
            raise UserError(
                f"metric {name}: {error}; use a function of predicted and true labels that returns "
                "a number, or leave it out"
            ) from None


def find_function(name: str, folder: Path) -> Function:
    """The user's function. One with parameters `y_true` and `y_pred`, as in scikit-learn, is called by
    these names. Errors: ValueError."""
    found = load_user_code(name, folder)
    if not callable(found):
        raise ValueError(f"it is a {type(found).__name__}, not a function")
    try:
        parameters = set(inspect.signature(found).parameters)
    except ValueError:  # a function of C has none
        parameters = set()
    if {"y_true", "y_pred"} <= parameters:
        return lambda predicted, labels: found(y_true=labels, y_pred=predicted)
    function: Function = found
    return function


def call(name: str, function: Function, predicted: np.ndarray, labels: np.ndarray) -> float:
    """The value of the user's function. Errors: ValueError where there is none."""
    try:
        value = function(predicted.copy(), labels.copy())
    except (Exception, SystemExit) as error:
        raise ValueError(f"{name} raises {described(error)}") from error
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} returns {value!r}, not a number") from None
