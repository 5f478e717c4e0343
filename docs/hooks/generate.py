"""Fills the pages that are made from the code, so that they cannot differ from it.

A page contains `<!-- generated: NAME -->` where the text belongs; `fill` replaces it. mkdocs calls
`on_page_markdown` for every page. Fields are described by the docstring that follows each of them
in the class.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

sys.path.insert(0, str(Path(__file__).parents[2]))  # the packages of this checkout

from benchmarks.harness.cli.options import OPTIONS
from benchmarks.harness.cli.parser import make_parser
from benchmarks.harness.plan.profile import Profile
from benchmarks.harness.plan.sections import (
    AccuracyPlan,
    EquivalencePlan,
    LimitPlan,
    MemoryPlan,
    TaskChoice,
    ThroughputPlan,
    TuningPlan,
)
from frameworks.contract import Backend, DeviceFunctions, MemoryModel, Recipe, Session

ROOT = Path(__file__).parents[2]
MARKER = re.compile(r"<!-- generated: ([\w-]+) -->\n?")
# The tables of a profile, by their header in the TOML file.
SECTIONS: dict[str, type[BaseModel]] = {
    "tasks.NAME": TaskChoice,
    "equivalence": EquivalencePlan,
    "throughput": ThroughputPlan,
    "memory": MemoryPlan,
    "batch_limit": LimitPlan,
    "accuracy": AccuracyPlan,
    "tuning": TuningPlan,
}
TYPES = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return fill(markdown)


def fill(markdown: str) -> str:
    """The page with every marker replaced. Errors: KeyError for an unknown marker."""
    return MARKER.sub(lambda marker: GENERATORS[marker[1]]() + "\n", markdown)


def recipe_fields() -> str:
    return fields_table(Recipe)


def profile_keys() -> str:
    """The top-level keys, then a table for each section."""
    nested = {name.partition(".")[0] for name in SECTIONS}
    parts = [fields_table(Profile, leave_out=nested)]
    for name, model in SECTIONS.items():
        about = class_docstring(model)
        parts += [f"## `[{name}]`", *([about] if about else []), fields_table(model)]
    return "\n\n".join(parts)


def fields_table(model: type[BaseModel], leave_out: Iterable[str] = ()) -> str:
    """One row per field of a model: name, allowed values, default and meaning."""
    schema, meanings = model.model_json_schema(), field_docstrings(model)
    definitions = schema.get("$defs", {})
    rows = [
        [
            f"`{name}`",
            allowed_values(schema["properties"][name], definitions),
            default_text(field),
            meanings[name],
        ]
        for name, field in model.model_fields.items()
        if name not in leave_out
    ]
    return table(["key", "allowed", "default", "meaning"], rows)


def default_text(field: FieldInfo) -> str:
    """A field's default as it is written in a profile, or a word for it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ([], {}):
        return "none" if value is None else "empty"
    return f"`{toml(value)}`"


def allowed_values(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The values that a field's JSON schema allows, in words."""
    if "$ref" in schema:
        return allowed_values(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(allowed_values(option, definitions) for option in options)
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("items", {})
        return f"list of {allowed_values(items, definitions)}" if items else "list"
    if schema.get("type") == "object":
        return "table"
    return " ".join([TYPES.get(schema.get("type", ""), "any value"), *bounds(schema)])


def bounds(schema: dict[str, Any]) -> list[str]:
    words = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    return [f"{word} {schema[key]}" for key, word in words.items() if key in schema]


def toml(value: object) -> str:
    """A value as it is written in a profile."""
    if isinstance(value, float):
        return re.sub(r"e-0?", "e-", f"{value:g}") if value < 1e-3 else repr(value)
    return json.dumps(value)


def field_docstrings(model: type) -> dict[str, str]:
    """The docstring below each field of a class, and of the classes that it extends."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    bases = [base for base in model.__bases__ if base not in (object, BaseModel)]
    found = {name: text for base in bases for name, text in field_docstrings(base).items()}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            found[statement.target.id] = " ".join(str(following.value.value).split())
    return found


def descriptor_fields() -> str:
    """What a backend says about itself: the fields of `Backend` and of `MemoryModel`."""
    parts = []
    for model in (Backend, MemoryModel):
        meanings = field_docstrings(model)
        rows = [
            [f"`{field.name}`", "required" if is_required(field) else "", meanings[field.name]]
            for field in dataclasses.fields(model)
        ]
        parts += [f"`{model.__name__}`:", table(["field", "", "meaning"], rows)]
    return "\n\n".join(parts)


def is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def session_methods() -> str:
    """What a backend's session does: the abstract methods in the order of the class."""
    abstract = Session.__abstractmethods__
    return functions_of({name: m for name, m in vars(Session).items() if name in abstract})


def device_functions() -> str:
    """What a backend's `device.py` does, in the order of the protocol."""
    found = vars(DeviceFunctions).items()
    return functions_of({name: f for name, f in found if f.__doc__ and not name.startswith("_")})


def functions_of(functions: Mapping[str, Callable[..., Any]]) -> str:
    """Functions with their parameters but `self`, and their docstrings."""
    rows = []
    for name, function in functions.items():
        parameters = list(inspect.signature(function).parameters)[1:]
        text = " ".join(inspect.cleandoc(function.__doc__ or "").split())
        rows.append([f"`{name}({', '.join(parameters)})`", text])
    return table(["name", "meaning"], rows)


def class_docstring(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").replace("\n", " ")


def commands() -> str:
    """Every command with its own options; options that several commands share are linked."""
    shared = {flag for flag, _ in OPTIONS}
    parts = []
    for name, parser in subparsers().items():
        own = [a for a in parser._actions if not shares(a, shared, parser)]
        parts += [f"## `ftbench {name}`", markdown_text(parser.description or "")]
        rows = [option_row(action) for action in own if action.dest != "help"]
        if rows:
            parts.append(table(["option", "meaning"], rows))
        if len(own) < len(parser._actions):
            parts.append("Takes the [shared options](#shared-options) as well.")
    return "\n\n".join(parts)


def shared_options() -> str:
    parser = subparsers()["run"]
    flags = {flag for flag, _ in OPTIONS}
    rows = [option_row(a) for a in parser._actions if flags & set(a.option_strings)]
    return table(["option", "meaning"], rows)


def shares(action: argparse.Action, shared: set[str], parser: argparse.ArgumentParser) -> bool:
    """Whether the action is one of the shared options, of a parser that has all of them."""
    return shared <= set(parser._option_string_actions) and bool(
        shared & set(action.option_strings)
    )


def subparsers() -> dict[str, argparse.ArgumentParser]:
    (action,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def option_row(action: argparse.Action) -> list[str]:
    values = ",".join(map(str, action.choices)) if action.choices else action.metavar or ""
    if not action.option_strings:
        return [f"`{values}`", markdown_text(action.help or "")]
    text = markdown_text(action.help or "")
    if isinstance(action.default, str) and "default" not in text:
        text += f" (default: `{action.default}`)"
    takes = action.nargs != 0
    return [f"`{action.option_strings[0]}{f' {values}' if takes else ''}`", text]


def markdown_text(text: str) -> str:
    """A help text, its example set as code."""
    return re.sub(r"Example: (.+)$", r"Example: `\1`", text)


def table(heads: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def page_of_repository(name: str) -> Callable[[], str]:
    """A page that is a file of the repository's root; its links lead into the docs."""

    def read() -> str:
        text = (ROOT / name).read_text("utf-8")
        return re.sub(r"\]\(docs/", "](", text)

    return read


def smallest_backend() -> str:
    """The files of the backend that the tests use, as code."""
    folder = ROOT / "tests" / "fake_backend" / "logistic"
    return "\n\n".join(
        f"`{path.relative_to(ROOT)}`:\n\n```python\n{path.read_text('utf-8')}```"
        for path in sorted(folder.glob("*.py"))
    )


GENERATORS: dict[str, Callable[[], str]] = {
    "recipe-fields": recipe_fields,
    "profile-keys": profile_keys,
    "commands": commands,
    "shared-options": shared_options,
    "backend-descriptor": descriptor_fields,
    "session-methods": session_methods,
    "device-functions": device_functions,
    "smallest-backend": smallest_backend,
    "changelog": page_of_repository("CHANGELOG.md"),
    "contributing": page_of_repository("CONTRIBUTING.md"),
}
