"""Invalid input, reported in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Invalid input. The message is one line: what is wrong, the offending value, and how to fix
    it. The command exits with code 2."""


def unknown(kind: str, value: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name; it suggests the nearest known names."""
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return UserError(f"unknown {kind} {value!r}: {hint}")
