"""Explains in one line what is wrong with a profile or an option."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from benchmarks.harness.errors import UserError
from benchmarks.harness.plan.sections import PLAIN_NAME, Fields
from frameworks.contract import Recipe

LONGEST_VALUE = 60  # characters of a wrong value that are shown
_WORDS = {  # pydantic's words, and plainer ones
    "a valid boolean": "true or false",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid list": "a list, such as [1, 2]",
    "a valid dictionary": "a table",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}


def check_fields(fields: Mapping[str, Any], whose: str, where: str) -> None:
    """Validates a part of a recipe on its own.

    Raises UserError that names `whose` file or option, the field and the allowed values."""
    try:
        Recipe.model_validate(dict(fields))
    except ValidationError as error:
        alone = [detail for detail in error.errors() if detail["loc"]]
        if alone:  # errors without a field depend on other layers
            raise UserError(f"{whose}: {explain(error, Recipe, where)}") from None


def parse_overrides(settings: Iterable[str]) -> Fields:
    """Recipe fields from `FIELD=VALUE` texts of the command line, the value as in TOML (a bare
    word is a string)."""
    fields: Fields = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise UserError(f"--recipe {_shown(setting)}: write FIELD=VALUE, such as batch_size=8")
        try:
            parsed = tomllib.loads(f"value = {text}")
            value = parsed["value"] if len(parsed) == 1 else text
        except (ValueError, RecursionError):
            value = text
        fields[name.strip()] = value
    check_fields(fields, "--recipe", "recipe")
    return fields


def explain(error: ValidationError, model: type[BaseModel], where: str = "") -> str:
    """All errors in one line: field, value and what is allowed."""
    return "; ".join(_explain_one(detail, model, where) for detail in error.errors())


def _explain_one(detail: ErrorDetails, model: type[BaseModel], where: str) -> str:
    field = ".".join(str(part) for part in (where, *detail["loc"]) if part != "")
    if detail["type"] == "extra_forbidden":
        known = _fields_at(model, detail["loc"][:-1])
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        return f"unknown field {field}: {hint}"
    if detail["type"] == "missing":
        return f"{field} is missing: add it"
    if detail["type"] == "value_error":  # fields that are valid alone but not together
        return f"{field}: {detail['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    if detail["loc"][-1:] == ("[key]",):  # the name of a table
        return f"{field.removesuffix('.[key]')}: {_rule(detail)}"
    return f"{field} = {_shown(detail['input'])}: {_rule(detail)}"


def _rule(detail: ErrorDetails) -> str:
    """What is allowed, from pydantic's message."""
    if detail["type"] == "string_pattern_mismatch" and detail["ctx"]["pattern"] == PLAIN_NAME:
        return "use lower-case letters, digits and '_'"
    rule = re.sub(r"^\w+ should", "must", detail["msg"]).split(" after validation")[0]
    for theirs, ours in _WORDS.items():
        rule = rule.replace(theirs, ours)
    return rule


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the model at `location` inside `model`."""
    current: Any = model
    for part in location:
        field = getattr(current, "model_fields", {}).get(part)
        annotation = field.annotation if field else None
        if annotation is not None:  # dict[str, Model] keeps its model as the last argument
            current = getattr(annotation, "__args__", (annotation,))[-1]
    return sorted(getattr(current, "model_fields", {}))
