"""The names of metrics: those that ftbench computes, and the user's own functions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from frameworks.contract.user_code import NAME

METRICS = ("accuracy", "macro_f1", "weighted_f1", "mcc")
LOSS = "loss"  # selects weights and stops trainings too; the smallest is the best


def _is_metric(name: str) -> str:
    if name not in METRICS and not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a metric: use {', '.join(METRICS)} or module:function")
    return name


def _is_score(name: str) -> str:
    return name if name == LOSS else _is_metric(name)


Metric = Annotated[str, AfterValidator(_is_metric)]


SelectingScore = Annotated[str, AfterValidator(_is_score)]
