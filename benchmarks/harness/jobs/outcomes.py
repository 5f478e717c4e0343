"""Decides from how a worker ended whether memory ran out.

Only memory outcomes steer a search for a batch limit. No other error may be mistaken for one, so
exceptions count as memory outcomes only if they match the names and texts below. Probes run under a
budget, so an end without an exception counts too: the likely reason is that memory ran out. A
second probe confirms it; if not even one example fits, a probe without the budget does.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from functools import cache

from frameworks.contract import backends
from results.schema import Outcome

# Python or NumPy says that memory ran out; each backend adds what its framework says.
PLAIN = (r"^MemoryError\b", r"\b_?ArrayMemoryError\b")
# A library fails because memory ran out and says something else.
DISGUISED = (
    r"\bstd::bad_alloc\b",
    r"\bstd::length_error\b",
    r"\bfailed to allocate\b",
    r"\bcould not (create|execute) a (primitive|memory)\b",  # oneDNN
    r"^SystemError\b.*\bwith(out)? (setting )?(an )?exception\b",  # CPython itself
    r"\bcan't start new thread\b",
    r"\bpthread_create\b.*\bfail",
    r"\bThread creation .*failed\b",
    r"\bCannot allocate memory\b",
    r"\bfailed to map segment\b",
    r"\bResource temporarily unavailable\b",
)
LINE_CHARACTERS = 300
# Signals that end a process whose library does not handle a failed allocation.
SUDDEN = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL}


def of_exception(text: str) -> Outcome:
    """The outcome of a Python exception. `text` holds its type's name and its whole message, then
    those of its causes."""
    plain, disguised, other = _patterns()
    text = "\n".join(line for line in text.splitlines() if not other.search(line))
    if plain.search(text):
        return "oom"
    return "disguised_oom" if disguised.search(text) else "error"


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """For memory that ran out, for an error that hides it, and for one that only sounds like it; of
    all backends."""
    models = [backend.memory for backend in backends().values()]
    plain = [*PLAIN, *(text for model in models for text in model.out_of_memory)]
    disguised = [*DISGUISED, *(t for model in models for t in model.disguised_out_of_memory)]
    other = [text for model in models for text in model.not_out_of_memory] or ["(?!)"]
    return (
        re.compile("|".join(dict.fromkeys(plain)), re.MULTILINE),
        re.compile("|".join(dict.fromkeys(disguised)), re.IGNORECASE | re.MULTILINE),
        re.compile("|".join(dict.fromkeys(other))),
    )


def telling_line(text: str) -> str:
    """The most informative line of an exception's message: the first one about memory that is no
    heading, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    telling = (line for line in lines if of_exception(line) != "error" and line[-1] != ":")
    return next(telling, lines[0])[:LINE_CHARACTERS]


def of_end(exit_code: int, last_lines: Sequence[str] = ()) -> Outcome:
    """The outcome of a process that ended without a result and without an exception; a negative
    code is the signal that ended it. A SIGKILL comes from the kernel, which ran out of memory: if
    the harness had sent it, the outcome would be a timeout. `last_lines` are those that it wrote to
    standard error: a library that ends its process says why."""
    if any(_patterns()[2].search(line) for line in last_lines):
        return "error"
    if exit_code == -signal.SIGKILL:
        return "host_oom"
    return "disguised_oom" if exit_code > 0 or -exit_code in SUDDEN else "error"
