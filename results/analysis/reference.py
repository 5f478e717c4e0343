"""Published figures by other people: results/reference.toml."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from results.schema.limits import Phase


class PublishedMemory(BaseModel):
    """One row of `[[memory]]` in reference.toml, which says what each field means: peaks or a limit
    that others have published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    checkpoint: str
    length: int
    precision: str
    gpu: str | None = None  # a type of gpus.toml
    budget_bytes: int | None = None  # of another card
    attention: str | None = None
    phase: Phase = "training"
    published_step: str | None = None
    peaks: dict[int, int] = Field(default_factory=dict)  # bytes by batch size
    over_batch_size: int | None = None
    fits: int | None = None  # the largest batch that is known to fit
    fails: int | None = None  # the smallest that is known not to
    conditions: str | None = None  # what was done otherwise than is predicted
    source: str


def published_memory() -> list[PublishedMemory]:
    return [PublishedMemory.model_validate(row) for row in _tables()["memory"]]


class PublishedScores(BaseModel):
    """One row of `[[accuracy]]` in reference.toml: scores that others have published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    model: str
    scores: dict[str, float]
    source: str
    parameters: int | None = None  # millions
    training_examples: int | None = None
    epochs: int | None = None
    length: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None


def published_scores() -> list[PublishedScores]:
    return [PublishedScores.model_validate(row) for row in _tables()["accuracy"]]


class PublishedSpeed(BaseModel):
    """One GPU of a row of `[[speed]]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: str
    batch_size: int
    samples_per_second: float


class PublishedSpeeds(BaseModel):
    """One row of `[[speed]]` in reference.toml: one training on several GPU types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    length: int
    source: str
    gpus: dict[str, PublishedSpeed]  # by type of gpus.toml

    @property
    def slowest(self) -> float:
        return min(figure.samples_per_second for figure in self.gpus.values())


def published_speeds() -> list[PublishedSpeeds]:
    return [PublishedSpeeds.model_validate(row) for row in _tables()["speed"]]


def _tables() -> dict[str, Any]:
    return tomllib.loads(resources.files("results").joinpath("reference.toml").read_text("utf-8"))
