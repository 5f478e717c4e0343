"""Paths as users type them."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.harness.errors import UserError


def user_path(text: str) -> Path:
    """A path as typed, with '~' expanded where that is possible."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user, or no home folder
        raise UserError(
            f"path {text!r}: there is no home folder for it: write the path in full"
        ) from None


def output_folder(option: str, text: str) -> Path:
    """The folder that an option names for output; it need not exist.

    Errors: UserError for a name that no folder can have."""
    path = user_path(text)
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # said when it is written
    except (OSError, ValueError) as error:  # too long, or with a NUL character
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{option} {text!r} cannot be a folder ({reason}): choose another"
        ) from None
    return path
