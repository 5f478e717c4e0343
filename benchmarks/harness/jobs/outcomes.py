"""How a worker's end is read: did memory run out, and did the framework say so?

Only memory outcomes move a search. An error of another kind must never be taken for one, so plain
exceptions count as memory only by the names and texts below. These are probes under a budget, so an
end without an exception counts too: running out of memory is what can be expected to end them. It
is confirmed by a second probe, and where not even one example fits, by one without the budget.
"""

from __future__ import annotations

import re
import signal
from functools import cache

from frameworks.contract import backends
from results.schema import Outcome

# Python or NumPy says that memory ran out; each backend adds what its framework says.
PLAIN = (r"^MemoryError\b", r"\b_?ArrayMemoryError\b")
# A library fails because memory ran out and says something else.
DISGUISED = (
    r"\bCUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)\b",
    r"\bCUDNN_STATUS_(ALLOC_FAILED|NOT_INITIALIZED|NOT_SUPPORTED|INTERNAL_ERROR"
    r"|INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED|EXECUTION_FAILED)\b",
    r"\bCUSOLVER_STATUS_ALLOC_FAILED\b",
    r"\bcudaErrorMemoryAllocation\b",
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
# What ends a process that was refused memory and did not expect it.
SUDDEN = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL}


def of_exception(text: str) -> Outcome:
    """The outcome of a Python exception; `text` is its type's name and its whole message, and below
    it those of its causes."""
    plain, disguised = _patterns()
    if plain.search(text):
        return "oom"
    return "disguised_oom" if disguised.search(text) else "error"


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """For memory that ran out, and for an error that hides it; of all backends."""
    models = [backend.memory for backend in backends().values()]
    plain = [*PLAIN, *(text for model in models for text in model.out_of_memory)]
    disguised = [*DISGUISED, *(t for model in models for t in model.disguised_out_of_memory)]
    return (
        re.compile("|".join(dict.fromkeys(plain)), re.MULTILINE),
        re.compile("|".join(dict.fromkeys(disguised)), re.IGNORECASE | re.MULTILINE),
    )


def telling_line(text: str) -> str:
    """The line of an exception's message that says most: the first one of memory that is no
    heading, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    telling = (line for line in lines if of_exception(line) != "error" and line[-1] != ":")
    return next(telling, lines[0])[:LINE_CHARACTERS]


def of_end(exit_code: int) -> Outcome:
    """The outcome of a process that ended without a result and without an exception; a negative
    code is the signal that ended it. A SIGKILL is the kernel's, for want of memory: one that the
    harness sent is a timeout."""
    if exit_code == -signal.SIGKILL:
        return "host_oom"
    return "disguised_oom" if exit_code > 0 or -exit_code in SUDDEN else "error"
