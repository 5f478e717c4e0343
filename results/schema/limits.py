"""A batch limit and its probes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from results.schema.job import Record

Phase = Literal["training", "evaluation"]


Outcome = Literal[
    "ok",  # it completed its steps
    "oom",  # the framework reported that memory ran out
    "host_oom",  # the kernel killed the process
    "disguised_oom",  # memory ran out under another name, or the process ended without a message
    "timeout",
    "error",  # anything else: it says nothing about memory and ends the search
]


OUTCOME_TEXT: dict[Outcome, str] = {
    "ok": "fits",
    "oom": "out of memory",
    "host_oom": "killed by the kernel, out of memory",
    "disguised_oom": "out of memory, reported as another error",
    "timeout": "timed out",
    "error": "failed",
}
MEMORY_OUTCOMES: frozenset[Outcome] = frozenset({"oom", "host_oom", "disguised_oom"})


class Probe(Record):
    """One worker that built everything and took a few steps at one batch size."""

    batch_size: int
    outcome: Outcome
    peak_bytes: int | None  # of what the budget bounds; None where it failed
    steps: int  # completed optimizer steps (or evaluation batches)
    seconds: float  # the whole process
    reason: str | None = None  # one line, whenever the outcome is not 'ok'


class Finder(Record):
    """Another tool's search for the same limit, on the same work and budget, in one process."""

    name: str
    answer: int | None  # the largest batch that fits, as it says; None: no answer
    probes: int
    seconds: float
    reason: str | None = None  # of no answer


class Expected(Record):
    """Where a search starts."""

    limit: int
    source: str  # 'predicted', 'the limit on imdb'
    seconds: float  # that finding it took


class BatchLimit(Record):
    """The largest batch that trains (or predicts) within a budget, proven from both sides."""

    question: Literal["batch_limit"] = "batch_limit"
    phase: Phase
    budget: str  # as the user gave it: '6GiB', 'T4', 'device'
    budget_bytes: int
    emulated: bool  # less than the GPU has: a smaller one's budget, or a size
    enforced_by: str  # 'RLIMIT_DATA', the framework's own limit, ...
    notes: list[str] = Field(default_factory=list)  # what could not be verified
    limit: int | None  # 0: not even one example; None: not found, for the measurement's reason
    fails_at: int | None  # the smallest that failed; None: none did up to `highest`
    highest: int  # no larger batch was tried
    expected: Expected | None = None
    probes: list[Probe]
    fixed_bytes: float | None = None  # the fit: peak = fixed_bytes + bytes_per_example x batch
    bytes_per_example: float | None = None
    needed_bytes: int | None = None  # at batch 1, where not even that fits
    peaks_are_counts: bool = False  # the framework's allocator counted them
    finders: list[Finder] = Field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Time of all probes, each a whole process, and of finding where to start."""
        start = self.expected.seconds if self.expected else 0.0
        return start + sum(probe.seconds for probe in self.probes)
