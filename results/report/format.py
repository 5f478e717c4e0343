"""Numbers and texts as the report shows them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from results.analysis.statistics import Interval
from results.report.document import Cell

GIB = 1024**3

STATUS_TEXT = {
    "no_gpu": "no GPU",
    "not_run": "not run",
    "not_asked": "not asked",
    "not_installed": "not installed",
    "unsupported": "unsupported",
    "failed": "failed",
    "implausible": "implausible",
    "refused": "refused",
    "killed": "killed",
    "timeout": "timed out",
    "interrupted": "interrupted",
}

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Characters that change the reading direction could disguise a text as another one.
_DIRECTION = {
    "\u200e",
    "\u200f",
    "\u061c",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
}


def plain(text: str) -> str:
    """One line without terminal escapes, control characters or direction marks."""
    text = " ".join(_ANSI.sub("", text).split())
    return "".join("\ufffd" if _unprintable(c) else c for c in text)


def _unprintable(character: str) -> bool:
    return character in _DIRECTION or unicodedata.category(character) in {"Cc", "Cs"}


def plain_lines(text: str) -> str:
    return "\n".join(plain(line) for line in _ANSI.sub("", text).splitlines())


def decimals(value: float, digits: int = 3) -> int:
    """How many decimals show `digits` significant digits."""
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


def number(value: float, digits: int = 3, places: int | None = None) -> str:
    """With thousands separators: 1,234 - 12.3 - 0.0123."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:,.{decimals(value, digits) if places is None else places}f}"


def count(value: int) -> str:
    return f"{value:,}"


def span(interval: Interval, places: int) -> str:
    return f"{interval.low:,.{places}f} to {interval.high:,.{places}f}"


def percent(share: float, places: int = 1) -> str:
    """Without the % sign, which the column's title has."""
    return number(100 * share, places=places)


def gibibytes(value: int) -> str:
    return number(value / GIB, places=2)


def millions(value: int) -> str:
    return f"{value / 1e6:,.1f} M"


def duration(seconds: float) -> str:
    """Seconds up to two minutes, minutes above."""
    return f"{number(seconds)} s" if seconds < 120 else f"{seconds / 60:,.1f} min"


def gap(status: str | None) -> Cell:
    """The cell of an absent figure, with the reason."""
    text = STATUS_TEXT.get(status or "", status or "no reason recorded")
    return Cell(text, tone="gap")


def listed(words: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
