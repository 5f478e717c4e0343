"""The user's own code, named as `module:attribute`."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def load_user_code(name: str, folder: Path) -> Any:
    """Imports `module:attribute`. `folder`, where the user started the command, is searched last.

    Errors: ValueError says in one line what is wrong."""
    module_name, colon, attributes = name.partition(":")
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not of the form module:name")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"cannot import {module_name!r} from {folder} or the installed packages: "
            f"{described(error)}"
        ) from None
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            raise ValueError(f"module {module_name!r} has no {attributes!r}")
        found = getattr(found, attribute)
    return found


def described(error: BaseException) -> str:
    """An exception of the user's code in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def is_user_code(name: str) -> bool:
    """Whether a name is of the form `module:attribute`."""
    return NAME.fullmatch(name) is not None


def class_name(kind: type) -> str:
    """'my_module:MyCallback'."""
    return f"{kind.__module__}:{kind.__qualname__}"


def make_callbacks(kinds: Iterable[type], states: Mapping[str, Any]) -> list[Any]:
    """Makes the user's callbacks. One that has a state is given its arguments, then its attributes."""
    made = []
    for kind in kinds:
        state = states.get(class_name(kind), {})
        callback = kind(**state.get("args", {}))
        for name, value in state.get("attributes", {}).items():
            setattr(callback, name, value)
        made.append(callback)
    return made


def callback_states(callbacks: Iterable[Any]) -> dict[str, Any]:
    """What the method `state()` of each callback that has one returns, by class: a dictionary of 'args'
    and 'attributes', as transformers' `ExportableState` documents it.

    Errors: NotImplementedError for one that cannot be written, and what `state()` raises."""
    found = {}
    for callback in callbacks:
        if not callable(getattr(callback, "state", None)):
            continue
        name, state = class_name(type(callback)), callback.state()
        if not isinstance(state, dict) or not {"args", "attributes"} >= state.keys():
            raise NotImplementedError(
                f"{name}.state() returns no dictionary of 'args' and 'attributes'"
            )
        try:
            found[name] = json.loads(json.dumps(state))
        except (TypeError, ValueError) as error:
            raise NotImplementedError(f"{name}.state() cannot be written: {error}") from None
    return found
