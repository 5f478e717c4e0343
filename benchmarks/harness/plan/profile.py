"""Profiles: which work is measured. One TOML file each; a study is a profile that varies
something.

A recipe is put together from the profile's `[recipe]`, the task's, the backend's, the varied
shape and the command line, the later one winning field by field.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.plan.sections import (
    AccuracyPlan,
    Count,
    EquivalencePlan,
    Fields,
    LimitPlan,
    MemoryPlan,
    Section,
    TaskChoice,
    ThroughputPlan,
    TuningPlan,
    VariantName,
)
from benchmarks.harness.plan.validation import check_fields, explain
from frameworks.contract import BACKENDS, Recipe
from results.schema import PLAIN, Question

FOLDER = Path(__file__).parents[2] / "profiles"


class Profile(Section):
    description: str
    checkpoint: str = "minilm"
    data: str = "embedded"
    data_seed: Annotated[int, Field(ge=0)] = 42
    backends: list[str] = Field(default_factory=lambda: list(BACKENDS))
    questions: list[Question] = ["equivalence", "throughput", "memory", "accuracy"]
    job_seconds: Count = 900  # time limit of one job
    tasks: dict[str, TaskChoice]
    recipe: Fields = Field(default_factory=dict)
    backend: dict[str, Fields] = Field(default_factory=dict)  # recipe fields of one backend
    environment: dict[str, dict[str, str]] = Field(default_factory=dict)  # of one backend's worker
    vary: dict[str, list[Any]] = Field(default_factory=dict)  # recipe fields of speed and memory
    # Named changes to the recipe, each raced against none at all ('plain'), instead of `vary`.
    variants: dict[VariantName, Fields] = Field(default_factory=dict)
    equivalence: EquivalencePlan = EquivalencePlan()
    throughput: ThroughputPlan = ThroughputPlan()
    memory: MemoryPlan = MemoryPlan()
    batch_limit: LimitPlan = LimitPlan()
    accuracy: AccuracyPlan = AccuracyPlan()
    tuning: TuningPlan = TuningPlan()

    def recipe_for(self, backend: str, task: str, *layers: Mapping[str, Any]) -> Recipe:
        """The recipe of one backend on one task, with further layers (shape, seed, command line)
        on top.

        Errors: pydantic's ValidationError; `load_profile` has tried every layer of the file."""
        fields: Fields = {}
        below = (self.recipe, self.tasks[task].recipe, self.backend.get(backend, {}))
        for layer in (*below, *layers):
            fields |= layer
        return Recipe(**fields)


def profile_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_profile(name: str) -> Profile:
    """A profile by name, or by the path of a TOML file.

    Errors: UserError for an unknown name, a file that is not TOML, a field that is unknown or
    has a wrong value, with file, field and what is allowed."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if name.endswith(".toml"):
            raise UserError(
                f"profile file {name!r} is not there; give a name that "
                "`ftbench list` shows or the path of a TOML file"
            ) from None
        raise unknown("profile", name, profile_names()) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"profile {path.name} is not valid TOML: {error}") from None
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        raise UserError(f"profile {path.name}: {explain(error, Profile)}") from None
    _check_layers(path.name, profile)
    return profile


def _check_layers(file: str, profile: Profile) -> None:
    for backend in (*profile.backends, *profile.backend, *profile.environment):
        if backend not in BACKENDS:
            raise UserError(f"profile {file}: {unknown('backend', backend, BACKENDS)}")
    layers = [("recipe", profile.recipe)]
    layers += [(f"tasks.{task}.recipe", choice.recipe) for task, choice in profile.tasks.items()]
    layers += [(f"backend.{backend}", fields) for backend, fields in profile.backend.items()]
    layers += [
        ("vary", {field: value}) for field, values in profile.vary.items() for value in values
    ]
    layers += [(f"variants.{name}", fields) for name, fields in profile.variants.items()]
    for where, fields in layers:
        check_fields(fields, f"profile {file}", where)
    if profile.vary and profile.variants:
        raise UserError(f"profile {file}: vary and variants exclude each other: keep one")
    if PLAIN in profile.variants:
        raise UserError(
            f"profile {file}: variants.{PLAIN}: every study has one already, that "
            "changes nothing; choose another name"
        )
    shapes: dict[str, Fields] = {"recipe": {}}
    shapes |= {f"variants.{name}": f for name, f in profile.variants.items()}
    for task, backend, where in itertools.product(profile.tasks, profile.backends, shapes):
        try:
            profile.recipe_for(backend, task, shapes[where])
        except ValidationError as error:
            raise UserError(f"profile {file}: {explain(error, Recipe, where)}") from None
