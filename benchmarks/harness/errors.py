"""The one way in which bad input is told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: one line that names the thing, the value and the mend. Exit code 2."""


def unknown(kind: str, value: str, known: Iterable[str]) -> UserError:
    """An unknown name, with the nearest known ones."""
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return UserError(f"unknown {kind} {value!r}: {hint}")
