"""How a worker's end is read: did memory run out, and did the framework say so?

Only memory outcomes move a search. An error of another kind must never be taken for one, so plain
exceptions count as memory only by the names and texts below. These are probes under a budget, so an
end without an exception counts too: running out of memory is what can be expected to end them. It
is confirmed by a second probe, and where not even one example fits, by one without the budget.
"""

from __future__ import annotations

import re
import signal

from results.schema import Outcome

# The framework, or Python, says that memory ran out.
PLAIN = re.compile(
    "|".join(
        (
            r"^MemoryError\b",
            r"\b_?ArrayMemoryError\b",  # Python, NumPy
            r"\bOutOfMemoryError\b",
            r"\bCUDA out of memory\b",
            r"\bCUDA error: out of memory\b",  # PyTorch
            r"DefaultCPUAllocator: (can't allocate|not enough) memory",
            r"\bResourceExhaustedError\b",
            r"\bRESOURCE_EXHAUSTED\b",  # TensorFlow, XLA
            r"\bOOM when allocating\b",
            r"\bCUDA_ERROR_OUT_OF_MEMORY\b",
        )
    ),
    re.MULTILINE,
)
# A library below it fails for want of memory and says something else.
DISGUISED = re.compile(
    "|".join(
        (
            r"\bCUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)\b",
            r"\bfailed to create cublas handle\b",
            r"\bCUDNN_STATUS_(ALLOC_FAILED|NOT_INITIALIZED|NOT_SUPPORTED|INTERNAL_ERROR"
            r"|INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED|EXECUTION_FAILED)\b",
            r"\bCUSOLVER_STATUS_ALLOC_FAILED\b",
            r"\bcudaErrorMemoryAllocation\b",
            r"\bFailed to (call|launch) (Then|Do|Cudnn)RNN\w*",
            r"\bBlas \w*gemm\w* launch failed\b",
            r"\bstd::bad_alloc\b",
            r"\bstd::length_error\b",
            r"\bfailed to allocate\b",
            r"\bcould not (create|execute) a (primitive|memory)\b",  # oneDNN
            r"^SystemError\b.*\bwith(out)? (setting )?(an )?exception\b",  # CPython itself
            r"^EncodeError: Failed to serialize proto\b",  # protobuf, of TensorFlow's graph
            r"\bcan't start new thread\b",
            r"\bpthread_create\b.*\bfail",
            r"\bThread creation .*failed\b",
            r"\bCannot allocate memory\b",
            r"\bfailed to map segment\b",
            r"\bResource temporarily unavailable\b",
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)
LINE_CHARACTERS = 300
# What ends a process that was refused memory and did not expect it.
SUDDEN = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL}


def of_exception(text: str) -> Outcome:
    """The outcome of a Python exception; `text` is its type's name and its whole message, and below
    it those of its causes."""
    if PLAIN.search(text):
        return "oom"
    return "disguised_oom" if DISGUISED.search(text) else "error"


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
