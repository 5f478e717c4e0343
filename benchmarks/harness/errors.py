"""Invalid input, reported in one line."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable

LONGEST_REASON = 300  # characters of another library's message that are shown


class UserError(Exception):
    """Invalid input. The message is one line: what is wrong, the offending value, and how to fix
    it. The command exits with code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """One line without control characters, whatever file or library a text came from."""
    line = " ".join(text.split("\n"))
    return (
        line if line.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in line)
    )


def _escaped(character: str) -> str:
    return " " if character in "\t\r" else character.encode("unicode_escape").decode("ascii")


def check_decoded(arguments: Iterable[str]) -> None:
    """Raises UserError for an argument with bytes that this locale cannot decode: such a name can be
    neither shown nor recorded."""
    for argument in arguments:
        if not argument.isascii() and any("\ud800" <= c <= "\udfff" for c in argument):
            raise UserError(
                f"argument {argument!r} has bytes that are not {sys.getfilesystemencoding()}: rename "
                "the file or folder, or choose a UTF-8 locale (LC_ALL=C.UTF-8)"
            )


def first_line(error: BaseException) -> str:
    """The first line of another library's message, or the kind of error if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def download_reason(error: BaseException) -> str:
    """Why a download failed: the first line of the message, and the proxy settings in use."""
    proxies = [
        f"{name}={re.sub('//[^@/]*@', '//…@', value)}"
        for name, value in sorted(os.environ.items())
        if name.upper() in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY") and value
    ]
    used = f" (proxy settings: {', '.join(proxies)})" if proxies else ""
    return first_line(error) + used


def unknown(kind: str, value: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name; it suggests the nearest known names."""
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return UserError(f"unknown {kind} {value!r}: {hint}")
