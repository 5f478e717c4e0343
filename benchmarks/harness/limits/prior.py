"""What earlier measurements of a run say about a limit, before the first probe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.harness.jobs.attempt import Ready
from benchmarks.harness.machine.budgets import DEVICE, Budget
from results.schema import BatchLimit, Device, Expected, Finder, Measurement, Outcome, Probe, Status

# Outcomes that say nothing about memory and end a search.
STOPPED: dict[Outcome, Status] = {"timeout": "timeout", "error": "failed"}


@dataclass
class Prior:
    """The state in which a search begins."""

    budget: Budget
    probes: list[Probe] = field(default_factory=list)  # of this job, when it is resumed
    finders: list[Finder] = field(default_factory=list)  # likewise
    notes: list[str] = field(default_factory=list)  # likewise
    effective: dict[str, Any] | None = None  # likewise
    expected: Expected | None = None  # likewise, or the limit on another task
    peaks: dict[int, int] = field(default_factory=dict)  # bytes by batch size, of other budgets
    peaks_are_counts: bool = False


def prior_of(ready: Ready, device: Device, budget: Budget, earlier: Iterable[Measurement]) -> Prior:
    """Resumes from this job's own probes. The same workload's peaks under other budgets give the
    line to follow, and its limit on another task says where to look first; a comparison of finders
    uses neither, because the other finders have neither."""
    job = ready.job
    assert job.limit is not None
    prior = Prior(budget, notes=[budget.note] if budget.note else [])
    alike = [
        (m, m.batch_limit)
        for m in earlier
        if m.batch_limit is not None and _has_same_memory(m, m.batch_limit, ready, device)
    ]
    for m, found in alike:
        if m.job.id == job.key.id:
            _resume(prior, m, found, job.limit.budget)
    for m, found in alike:
        prior.peaks_are_counts = prior.peaks_are_counts or found.peaks_are_counts
        if m.job.id == job.key.id or job.limit.compare_finders:
            continue
        if m.job.task == job.key.task:
            prior.peaks |= {p.batch_size: p.peak_bytes for p in found.probes if p.peak_bytes}
        elif (
            prior.expected is None
            and found.limit is not None
            and found.budget_bytes == prior.budget.bytes
        ):
            prior.expected = Expected(
                limit=found.limit, source=f"the limit on {m.job.task}", seconds=0.0
            )
    return prior


def _has_same_memory(m: Measurement, found: BatchLimit, ready: Ready, device: Device) -> bool:
    """Whether a measurement differs from the job in its budget and task only."""
    job = ready.job
    return (
        job.limit is not None
        and m.job.backend == job.key.backend
        and found.phase == job.limit.phase
        and m.recipe == job.recipe.model_dump()
        and m.device == device
        and m.versions == ready.where.versions
        and m.checkpoint == ready.checkpoint
        and m.environment == job.environment
    )


def _resume(prior: Prior, m: Measurement, found: BatchLimit, budget_label: str) -> None:
    """Takes over what the same job had found when it was stopped."""
    if budget_label == DEVICE:  # the budget is the memory that was free when the search began
        prior.budget = replace(prior.budget, bytes=found.budget_bytes)
    if found.budget_bytes != prior.budget.bytes:
        return
    prior.probes = [p for p in found.probes if p.outcome not in STOPPED]
    prior.finders, prior.effective = list(found.finders), m.effective
    prior.expected = found.expected
    prior.notes += [note for note in found.notes if note not in prior.notes]
