"""Profiles: which work is measured. One TOML file each; a study is a profile that varies
something.

A recipe is put together from the profile's `[recipe]`, the task's, the backend's, the varied
shape and the command line, the later one winning field by field.
"""

from __future__ import annotations

import difflib
import itertools
import tomllib
from collections.abc import Iterable, Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine import budgets
from frameworks.contract import BACKENDS, Precision, Recipe
from results.schema import PLAIN, Phase, Question

FOLDER = Path(__file__).parents[2] / "profiles"
Count = Annotated[int, Field(ge=1)]
Fields = dict[str, Any]  # a part of a recipe
VariantName = Annotated[str, Field(pattern="^[a-z0-9_]+$")]  # a part of a file's name


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TaskChoice(Section):
    train_examples: Count | None = None  # None: all there are
    evaluation_examples: Count | None = None  # of every evaluation set
    recipe: Fields = Field(default_factory=dict)


class ThroughputPlan(Section):
    warmup_windows: Count = 1
    rounds: Count = 6  # backends take turns once per round; an interval needs 6 rounds
    windows: Count = 2  # per round
    steps_per_window: Count = 4
    evaluation_windows: Count = 1  # per round
    evaluation_batches: Count = 4  # per window
    control: bool = True  # every backend's barest loop takes part: what fit or Trainer adds
    noise_pair: bool = True  # one backend takes part twice: differences below its own are none

    @property
    def training_steps(self) -> int:
        """The first step is timed alone, then the windows."""
        return 1 + self.steps_per_window * (self.warmup_windows + self.rounds * self.windows)


class EquivalencePlan(Section):
    """What a trace is taken of: `steps` optimizer steps make two epochs, each with a partial last
    batch."""

    steps: Annotated[int, Field(ge=4)] = 100
    accumulations: Annotated[list[Count], Field(min_length=1)] = [1, 2]  # one trace for each
    # The others have one trace each, at the first of the accumulations.
    precisions: list[Precision] = ["fp32"]
    batch_size: Annotated[int, Field(ge=2)] = 8
    # Such that a part of the steps is cut: a certificate asks for it.
    max_gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    # Large beside a recipe's: that decay is lost in the rounding of the weights, and few gradients
    # are so small that they show that epsilon.
    weight_decay: Annotated[float, Field(gt=0)] = 1.0
    epsilon: Annotated[float, Field(gt=0)] = 1e-6
    evaluation_examples: Count = 200
    keep_weights: bool = False  # whole, beside their sketches

    @field_validator("precisions")
    @classmethod
    def _with_fp32(cls, words: list[Precision]) -> list[Precision]:
        if "fp32" not in words:
            raise ValueError("fp32 must be among them: the bounds of the others come from it")
        return list(dict.fromkeys(words))

    def examples(self, accumulation: int) -> int:
        """Training examples of a trace: half the steps' batches, the last of them half full."""
        return ceil(self.steps / 2) * self.batch_size * accumulation - self.batch_size // 2


class MemoryPlan(Section):
    steps: Annotated[int, Field(ge=3)] = 4  # optimizer state exists from the first step on


class LimitPlan(Section):
    """The largest batch that trains within each budget."""

    budgets: list[str] = []  # '6GiB', a GPU type, 'device'; none: the whole device
    phases: Annotated[list[Phase], Field(min_length=1)] = ["training"]
    highest: Count = 1024  # no batch above it is tried
    steps: Annotated[int, Field(ge=3)] = 3  # optimizer steps, or evaluation batches, of a probe
    compare_finders: bool = False  # other ways to the same limit, on the same work

    @field_validator("budgets")
    @classmethod
    def _are_budgets(cls, labels: list[str]) -> list[str]:
        try:
            for label in labels:
                budgets.check_label(label, "budget")
        except UserError as error:
            raise ValueError(str(error)) from None
        return labels


class AccuracyPlan(Section):
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [42]


class TuningPlan(Section):
    # By how much a tuned recipe's accuracy may be lower than the plain one's and still hold.
    accuracy_margin: Annotated[float, Field(gt=0, lt=1)] = 0.01


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


def check_fields(fields: Mapping[str, Any], whose: str, where: str) -> None:
    """A part of a recipe, judged alone.

    Errors: UserError naming `whose` file or option, the field and what is allowed."""
    try:
        Recipe.model_validate(dict(fields))
    except ValidationError as error:
        alone = [detail for detail in error.errors() if detail["loc"]]
        if alone:  # errors without a field come from fields in other layers
            raise UserError(f"{whose}: {explain(error, Recipe, where)}") from None


def parse_overrides(settings: Iterable[str]) -> Fields:
    """Recipe fields from `FIELD=VALUE` texts of the command line, the value as in TOML (a bare
    word is a string)."""
    fields: Fields = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--recipe {setting!r}: write FIELD=VALUE, such as batch_size=8")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        fields[name.strip()] = value
    check_fields(fields, "--recipe", "recipe")
    return fields


def explain(error: ValidationError, model: type[BaseModel], where: str = "") -> str:
    """All that is wrong, in one line: field, value and what is allowed."""
    return "; ".join(_explain_one(detail, model, where) for detail in error.errors())


def _explain_one(detail: ErrorDetails, model: type[BaseModel], where: str) -> str:
    field = ".".join(str(part) for part in (where, *detail["loc"]) if part != "")
    if detail["type"] == "extra_forbidden":
        known = _fields_at(model, detail["loc"][:-1])
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        return f"unknown field {field}: {hint}"
    if detail["type"] == "missing":
        return f"{field} is missing"
    if detail["type"] == "value_error":  # the fields together, each of which may be right
        return f"{field}: {detail['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    return f"{field} = {detail['input']!r}: {detail['msg'].replace('Input should', 'must')}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the model that stands at `location` inside `model`."""
    current: Any = model
    for part in location:
        field = getattr(current, "model_fields", {}).get(part)
        annotation = field.annotation if field else None
        if annotation is not None:  # dict[str, Model] keeps its model as the last argument
            current = getattr(annotation, "__args__", (annotation,))[-1]
    return sorted(getattr(current, "model_fields", {}))
