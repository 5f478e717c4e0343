"""The user's own code, named as `module:attribute`."""

from __future__ import annotations

import importlib
import re
import sys
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
