"""Batch limits and their probes, as one line of text each."""

from __future__ import annotations

from results.schema import OUTCOME_TEXT, BatchLimit, Expected, Measurement, Probe

VERBS = {"training": ("trains", "train"), "evaluation": ("predicts", "predict")}


def probe_text(probe: Probe) -> str:
    """'batch 96: ok, peak 4.31 GiB, 23 s'."""
    if probe.outcome == "ok":
        peak = "peak unknown" if probe.peak_bytes is None else f"peak {_gib(probe.peak_bytes)}"
        return f"batch {probe.batch_size}: ok, {peak}, {probe.seconds:.0f} s"
    return (
        f"batch {probe.batch_size}: {OUTCOME_TEXT[probe.outcome]}, {probe.seconds:.0f} s "
        f"({probe.reason})"
    )


def expected_text(expected: Expected) -> str:
    """'157 expected (predicted, 8 s)'."""
    return f"{expected.limit} expected ({expected.source}, {expected.seconds:.0f} s)"


def limit_text(m: Measurement) -> str:
    """'112 trains, 120 fails (out of memory) within 6GiB; 4 probes, 61 s'; or the reason why
    there is none."""
    found = m.batch_limit
    if found is None or found.limit is None:
        return f"{m.status}: {m.reason}"
    n = len(found.probes)
    probes = f"{n} probe{'s' * (n != 1)}, {found.seconds:.0f} s"
    notes = f" ({'; '.join(found.notes)})" if found.notes else ""
    return f"{_answer(found)} within {_budget(found)}; {probes}{notes}"


def _answer(found: BatchLimit) -> str:
    verb, infinitive = VERBS[found.phase]
    if found.limit == 0:
        needs = "" if found.needed_bytes is None else f": needs about {_gib(found.needed_bytes)}"
        return f"does not fit at batch 1{needs}, it cannot {infinitive}"
    if found.fails_at is None:
        return f"{found.limit} {verb}, and no larger batch was tried,"
    last = [p for p in found.probes if p.batch_size == found.fails_at][-1]
    return f"{found.limit} {verb}, {found.fails_at} fails ({OUTCOME_TEXT[last.outcome]})"


def _budget(found: BatchLimit) -> str:
    if found.budget == "device":
        return f"the whole device ({_gib(found.budget_bytes)})"
    return f"{found.budget} (emulated)" if found.emulated else found.budget


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
