"""A batch limit and its probes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from results.schema.job import Record

Phase = Literal["training", "evaluation"]


Outcome = Literal[
    "ok",  # it took its steps
    "oom",  # the framework said that memory ran out
    "host_oom",  # the kernel ended the process
    "disguised_oom",  # memory ran out under another name, or the process ended without a word
    "timeout",
    "error",  # anything else: it says nothing of memory, and ends the search
]


MEMORY_OUTCOMES: frozenset[Outcome] = frozenset({"oom", "host_oom", "disguised_oom"})


class Probe(Record):
    """One worker that built everything and took a few steps at one batch size."""

    batch_size: int
    outcome: Outcome
    peak_bytes: int | None  # of what the budget bounds; None where it did not end well
    steps: int  # optimizer steps (or evaluation batches) that it took
    seconds: float  # the whole process
    reason: str | None = None  # one line, whenever the outcome is not 'ok'


class Finder(Record):
    """Another way to the same limit, on the same work and budget, in one process."""

    name: str
    answer: int | None  # the largest batch that it says fits; None: it gave none
    probes: int
    seconds: float
    reason: str | None = None  # why there is no answer


class Expected(Record):
    """Where a search was told to look first."""

    limit: int
    source: str  # 'predicted', 'the limit on imdb'
    seconds: float  # that it took to tell


class BatchLimit(Record):
    """The largest batch that trains (or predicts) within a budget, proven from both sides."""

    question: Literal["batch_limit"] = "batch_limit"
    phase: Phase
    budget: str  # as it was asked for: '6GiB', 'T4', 'device'
    budget_bytes: int
    emulated: bool  # less than the GPU has: a smaller one's budget, or a size
    enforced_by: str  # 'RLIMIT_DATA', the framework's own limit, ...
    notes: list[str] = Field(default_factory=list)  # what could not be made sure of
    limit: int | None  # 0: not even one example; None: not found, the measurement says why
    fails_at: int | None  # the smallest that failed; None: none did up to `highest`
    highest: int  # no batch above it was asked for
    expected: Expected | None = None
    probes: list[Probe]
    fixed_bytes: float | None = None  # the fit: peak = fixed_bytes + bytes_per_example x batch
    bytes_per_example: float | None = None
    needed_bytes: int | None = None  # at batch 1, where not even that fits
    peaks_are_counts: bool = False  # the framework's allocator counted them
    finders: list[Finder] = Field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of its probes, each a whole process, and of what told where to look first."""
        told = self.expected.seconds if self.expected else 0.0
        return told + sum(probe.seconds for probe in self.probes)
