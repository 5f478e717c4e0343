"""Profiles: which work is measured. Each is one TOML file; a study is a profile that varies
something.

A recipe combines the profile's `[recipe]`, the task's, the backend's, the varied fields and the
command line; later ones override earlier ones field by field.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from benchmarks.harness.data.choice import Count, DataChoice
from benchmarks.harness.data.readers.content import decode
from benchmarks.harness.data.tasks import LONGEST_NAME
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine.paths import user_path
from benchmarks.harness.plan.sections import (
    AccuracyPlan,
    ChangeName,
    EquivalencePlan,
    Fields,
    LimitPlan,
    MemoryPlan,
    Section,
    TaskChoice,
    ThroughputPlan,
    TrackerName,
    TuningPlan,
)
from benchmarks.harness.plan.validation import check_fields, explain
from frameworks import contract
from frameworks.contract import Recipe
from results.schema import PLAIN, Question

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DATA = "data"  # the part of a named change that replaces fields of the task's examples
FOLDER = Path(__file__).parents[2] / "profiles"


class Profile(Section):
    description: str
    """One line for `ftbench list`."""
    checkpoint: str = "minilm"
    """The start of all backends: a name, a folder, a hub id, or `random:SHAPE`."""
    data: str = "embedded"
    """Source of the texts: `embedded` (generated), `hub`, or `dir:PATH`."""
    data_seed: Annotated[int, Field(ge=0)] = 42
    """Seed of generated texts, of a subset of the examples, and of a split where the data has none."""
    backends: list[str] = Field(default_factory=lambda: list(contract.backends()), min_length=1)
    """Backends to measure."""
    questions: Annotated[list[Question], Field(min_length=1)] = [
        "equivalence",
        "throughput",
        "memory",
        "accuracy",
    ]
    """Questions to answer."""
    job_seconds: Count = 900
    """Time limit of one job, or of one probe, in seconds."""
    side_by_side: bool = False
    """Whether jobs without any timing (equivalence, memory) run two at a time on a CPU; traces then have
    half of the threads each, and accuracy jobs import their frameworks in pairs."""
    track: list[TrackerName] = []
    """Trackers that follow the trainings that are scored: `wandb`, `tensorboard`, `mlflow`, `trackio`."""
    tasks: Annotated[dict[str, TaskChoice], Field(min_length=1)]
    """The tasks, one table `[tasks.NAME]` each."""
    recipe: Fields = Field(default_factory=dict)
    """Recipe fields of all jobs."""
    backend: dict[str, Fields] = Field(default_factory=dict)
    """Recipe fields of one backend, in `[backend.NAME]`."""
    environment: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Environment variables of one backend's workers, in `[environment.NAME]`."""
    vary: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    """Recipe fields with a list of values each: speed, memory and limits of every combination."""
    changes: dict[ChangeName, Fields] = Field(default_factory=dict)
    """Named changes to the recipe, in `[changes.NAME]`; each is compared with the plain recipe in speed,
    memory and, with every seed, accuracy. `data` in a change replaces fields of the task's examples.
    Excludes `vary`."""
    equivalence: EquivalencePlan = EquivalencePlan()
    """The training that is traced, in `[equivalence]`."""
    throughput: ThroughputPlan = ThroughputPlan()
    """Windows and rounds, in `[throughput]`."""
    memory: MemoryPlan = MemoryPlan()
    """The memory pass, in `[memory]`."""
    batch_limit: LimitPlan = LimitPlan()
    """The search for the largest batch, in `[batch_limit]`."""
    accuracy: AccuracyPlan = AccuracyPlan()
    """The trainings that are scored, in `[accuracy]`."""
    tuning: TuningPlan = TuningPlan()
    """What tuning accepts, in `[tuning]`."""

    def recipe_change(self, name: str) -> Fields:
        """The recipe fields of a named change; none for the plain recipe."""
        fields = self.changes.get(name, {})
        return {field: value for field, value in fields.items() if field != DATA}

    def data_of(self, task: str, change: str) -> DataChoice | None:
        """The examples of a task under a named change; None where it leaves them as they are."""
        fields = self.changes.get(change, {}).get(DATA)
        return self.tasks[task].data(fields) if fields else None

    def recipe_for(self, backend: str, task: str, *layers: Mapping[str, Any]) -> Recipe:
        """The recipe of one backend on one task, with further layers on top (varied fields, seed,
        command line).

        Raises pydantic's ValidationError; `load_profile` has validated every layer of the file."""
        fields: Fields = {}
        below = (self.recipe, self.tasks[task].recipe, self.backend.get(backend, {}))
        for layer in (*below, *layers):
            fields |= layer
        return Recipe(**fields)


def profile_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_profile(name: str) -> Profile:
    """Loads a profile by name, or by the path of a TOML file.

    Raises UserError for an unknown name, a file that is not TOML, and an unknown field or invalid
    value, with file, field and what is allowed."""
    path = _find(name)
    content = _read(path, name)
    if "variants" in content and "changes" not in content:
        content["changes"] = content.pop("variants")
        _say_once(f"profile {path.name}: [variants.NAME] is now [changes.NAME]: please rename it")
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        raise UserError(f"profile {path.name}: {explain(error, Profile)}") from None
    _check_layers(path.name, profile)
    return profile


def _find(name: str) -> Path:
    if name in profile_names():
        return FOLDER / f"{name}.toml"
    if name.lower().endswith(".toml") or set(name) & set("/\\~"):
        return user_path(name)
    here = Path(f"{name}.toml")
    if name and len(name) < LONGEST_NAME and here.is_file():
        raise UserError(f"unknown profile {name!r}: for the file in this folder use {here}")
    raise unknown("profile", name, profile_names())


def _read(path: Path, name: str) -> dict[str, Any]:
    """Errors: UserError for a file that cannot be read, or is not TOML in UTF-8."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"profile file {name!r} does not exist; use a name that "
            "`ftbench list` shows, or the path of a TOML file"
        ) from None
    except (OSError, ValueError) as error:  # a folder, no permission, an impossible name
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot read profile file {name!r} ({reason}): use the path of a TOML file"
        ) from None
    try:
        return tomllib.loads(decode(content, f"profile {path.name}"))
    except RecursionError:
        raise UserError(f"profile {path.name} is too deeply nested: remove levels") from None
    except ValueError as error:  # syntax, or a number with too many digits
        raise UserError(f"profile {path.name} is not valid TOML: {error}") from None


@functools.cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr)


def _check_layers(file: str, profile: Profile) -> None:
    known = contract.backends()
    for backend in (*profile.backends, *profile.backend, *profile.environment):
        if backend not in known:
            raise UserError(f"profile {file}: {unknown('backend', backend, known)}")
    for backend, variables in profile.environment.items():
        for variable, value in variables.items():
            if not _VARIABLE.fullmatch(variable) or "\0" in value:
                raise UserError(
                    f"profile {file}: environment.{backend}: {variable!r} = {value!r} cannot be an "
                    "environment variable: use letters, digits and '_' in its name, and no NUL "
                    "character in its value"
                )
    layers = [("recipe", profile.recipe)]
    layers += [(f"tasks.{task}.recipe", choice.recipe) for task, choice in profile.tasks.items()]
    layers += [(f"backend.{backend}", fields) for backend, fields in profile.backend.items()]
    layers += [
        ("vary", {field: value}) for field, values in profile.vary.items() for value in values
    ]
    layers += [(f"changes.{name}", profile.recipe_change(name)) for name in profile.changes]
    for where, fields in layers:
        check_fields(fields, f"profile {file}", where)
    if profile.vary and profile.changes:
        raise UserError(f"profile {file}: vary and changes cannot be combined: remove one")
    for name, task in itertools.product(profile.changes, profile.tasks):
        fields = profile.changes[name].get(DATA, {})
        if not isinstance(fields, dict):
            raise UserError(
                f"profile {file}: changes.{name}.{DATA} = {fields!r}: write a table such as "
                "{ train_share = 0.05 }"
            )
        try:
            profile.tasks[task].data(fields)
        except ValidationError as error:
            where = f"changes.{name}.{DATA}"
            raise UserError(f"profile {file}: {explain(error, DataChoice, where)}") from None
    if PLAIN in profile.changes:
        raise UserError(
            f"profile {file}: changes.{PLAIN}: this name is reserved for the unchanged "
            "recipe; choose another name"
        )
    tried: dict[str, Fields] = {"recipe": {}}
    tried |= {f"changes.{name}": profile.recipe_change(name) for name in profile.changes}
    for task, backend, where in itertools.product(profile.tasks, profile.backends, tried):
        try:
            profile.recipe_for(backend, task, tried[where])
        except ValidationError as error:
            raise UserError(f"profile {file}: {explain(error, Recipe, where)}") from None
