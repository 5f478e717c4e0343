"""The search against simulated memory: what it reports is proven, and it asks for little."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.harness.limits.search import Fit, Search, fit_line
from benchmarks.harness.plan.batch_sizes import grid, next_size
from results.schema import Outcome, Probe

MIB = 2**20
Memory = Callable[[int], float]  # peak in bytes at a batch size


def probe(batch: int, outcome: Outcome = "ok", peak: int | None = None) -> Probe:
    return Probe(batch_size=batch, outcome=outcome, peak_bytes=peak, steps=3, seconds=1.0)


def attempt(batch: int, memory: Memory, budget: float, failure: Outcome = "oom") -> Probe:
    peak = memory(batch)
    return probe(batch, "ok", round(peak)) if peak <= budget else probe(batch, failure)


def run(
    memory: Memory,
    budget: int,
    highest: int = 1024,
    *,
    room: float | None = None,
    failure: Outcome = "oom",
    **known: object,
) -> tuple[Search, list[Probe]]:
    """A whole search; `room` is what really fits where that is less than the budget."""
    search, probes = Search(budget, highest, **known), []  # type: ignore[arg-type]
    while (batch := search.next()) is not None:
        probes.append(attempt(batch, memory, room or budget, failure))
        search.add(probes[-1])
        assert len(probes) < 100, "it does not end"
    return search, probes


def affine(fixed: float, each: float) -> Memory:
    return lambda batch: (fixed + each * batch) * MIB


def test_the_grid() -> None:
    sizes = grid(1024)
    assert sizes[:65] == [*range(1, 65), 72]
    assert sizes[-1] == 1024
    assert all(b % 8 == 0 for b in sizes[64:])
    assert all(
        (after - b) <= max(8, 0.05 * b + 4) for b, after in zip(sizes, sizes[1:], strict=False)
    )
    assert grid(1) == [1] and grid(70)[-2:] == [64, 70]
    assert next_size(63) == 64 and next_size(64) == 72 and next_size(1000) == 1048


def proven(search: Search, probes: list[Probe], highest: int) -> bool:
    """Trained at the limit, failed at the next size of the grid (or there is none)."""
    sizes, ok = grid(highest), {p.batch_size for p in probes if p.outcome == "ok"}
    failed = {p.batch_size for p in probes if p.outcome != "ok"}
    if search.limit and search.limit not in ok:
        return False
    if search.fails_at is None:
        return search.limit == highest
    place = sizes.index(search.limit) + 1 if search.limit else 0
    return search.fails_at in failed and search.fails_at == sizes[place]


@given(fixed=st.floats(1, 4000), each=st.floats(0.5, 900), budget=st.integers(100, 9000))
def test_affine_memory_takes_few_probes(fixed: float, each: float, budget: int) -> None:
    search, probes = run(affine(fixed, each), budget * MIB)
    assert proven(search, probes, 1024)
    true = [b for b in grid(1024) if fixed + each * b <= budget]
    assert search.limit == max(true, default=0)
    assert len(probes) <= 6


@given(
    fixed=st.floats(300, 2500),
    each=st.floats(2, 400),
    budget=st.integers(3000, 9000),
    seed=st.integers(0, 10**6),
)
@example(fixed=2389, each=3, budget=3000, seed=634)  # the noise is worth 16 examples: 13 probes
@settings(max_examples=200)
def test_noise_takes_few_probes_more(fixed: float, each: float, budget: int, seed: int) -> None:
    memory, chance = affine(fixed, each), Random(seed)
    noise = [chance.uniform(-0.01, 0.01) for _ in range(1025)]
    search, probes = run(lambda b: memory(b) * (1 + noise[b]), budget * MIB)
    assert proven(search, probes, 1024)
    assert len(probes) <= 14


@given(
    power=st.floats(0, 6),
    seed=st.integers(0, 10**6),
    budget=st.integers(1, 40_000),
    highest=st.integers(1, 1024),
)
def test_any_rising_memory_ends_with_a_proof(
    power: float, seed: int, budget: int, highest: int
) -> None:
    peaks, chance = [0.0], Random(seed)
    for _ in range(1024):  # the higher the power, the rarer and the larger the leaps
        peaks.append(peaks[-1] + 300 * (power + 1) * chance.random() ** power * MIB)
    search, probes = run(lambda b: peaks[b], budget * MIB, highest)
    assert proven(search, probes, highest)
    assert len({p.batch_size for p in probes}) == len(probes)
    assert len(probes) <= 8 + 2 * ceil(log2(len(grid(highest)) + 1))


@given(
    region=st.sampled_from([64, 256, 1024]), each=st.floats(1, 300), budget=st.integers(1500, 9000)
)
@example(region=1024, each=71.0, budget=3858)  # a step holds ten sizes that the line does not see
def test_memory_in_steps(region: int, each: float, budget: int) -> None:
    """An allocator that takes whole regions."""

    def memory(batch: int) -> float:
        return (700 + ceil(each * batch / region) * region) * MIB

    search, probes = run(memory, budget * MIB)
    assert proven(search, probes, 1024)
    assert len(probes) <= 14


@given(fails=st.sets(st.integers(1, 300)), budget=st.integers(1, 300))
def test_memory_without_any_law_is_still_proven(fails: set[int], budget: int) -> None:
    def memory(batch: int) -> float:
        return 2.0 * budget if batch in fails else 0.5 * budget

    search, probes = run(memory, budget, 300)
    assert proven(search, probes, 300)


@pytest.mark.parametrize(
    ("each", "room", "most"), [(45.9, 0.93, 5), (45.9, 0.85, 7), (180, 0.9, 6)]
)
def test_a_budget_that_cannot_be_filled(each: float, room: float, most: int) -> None:
    """The line says more than fits; an expectation that knows it makes up for that."""
    budget = 6144 * MIB
    search, probes = run(affine(900, each), budget, room=room * budget)
    assert proven(search, probes, 1024) and len(probes) <= most
    again, fewer = run(affine(900, each), budget, room=room * budget, expected=search.limit)
    assert again.limit == search.limit and len(fewer) <= 3


def test_an_allocators_count_is_followed_with_care() -> None:
    """As TensorFlow's: less per example at small sizes, and a twelfth of the budget unfilled."""

    def memory(batch: int) -> float:
        return (956 + 19.1 * batch - min(batch, 64) * 3.4 * (1 - min(batch, 64) / 64)) * MIB

    budget, probes = 4096 * MIB, []
    search = Search(budget, 1024)
    while (batch := search.next()) is not None:
        probes.append(attempt(batch, memory, 0.92 * budget, "disguised_oom"))
        search.peaks.are_counts()
        search.add(probes[-1])
    assert proven(search, probes, 1024) and len(probes) <= 6


def test_peaks_of_another_budget_leave_two_probes() -> None:
    memory = affine(900, 43)
    _, first = run(memory, 4096 * MIB)
    peaks = {p.batch_size: p.peak_bytes for p in first if p.peak_bytes is not None}
    search, second = run(memory, 8192 * MIB, peaks=peaks)
    assert [p.outcome for p in second] == ["ok", "oom"] and proven(search, second, 1024)


def test_the_line_is_followed_again_after_a_surprise() -> None:
    """Memory that falls at one size, as malloc's does where it begins to map blocks alone."""

    def memory(batch: int) -> float:
        return (1785 + 18.3 * batch if batch <= 336 else 1500 + 15 * batch) * MIB

    peaks = {batch: round(memory(batch)) for batch in (4, 16, 224, 232)}
    search, probes = run(memory, 8192 * MIB, peaks=peaks)
    assert proven(search, probes, 1024)
    assert search.limit == 440 and len(probes) <= 5


@pytest.mark.parametrize("off", range(-3, 4))
def test_an_expectation_leaves_few_probes(off: int) -> None:
    """A small one, then the limit and the next size: more only where it is off by some sizes."""
    sizes, memory = grid(1024), affine(900, 43)
    true, _ = run(memory, 6144 * MIB)
    expected = sizes[sizes.index(true.limit) + off]
    search, probes = run(memory, 6144 * MIB, expected=expected)
    assert search.limit == true.limit and proven(search, probes, 1024)
    assert len(probes) <= (3 if off in (0, 1) else 5 if off < 0 else 6)


def test_expected_and_known_from_another_budget_two_probes_are_left() -> None:
    memory = affine(900, 43)
    search, probes = run(memory, 6144 * MIB, expected=120, peaks={4: round(memory(4))})
    assert [p.batch_size for p in probes] == [120, 128] and proven(search, probes, 1024)


@example(expected=465, fixed=134.0, each=0.5, budget=270, highest=465)
@given(
    expected=st.integers(0, 5000),
    fixed=st.floats(1, 4000),
    each=st.floats(0.5, 900),
    budget=st.integers(100, 9000),
    highest=st.integers(1, 1024),
)
@settings(max_examples=200)
def test_an_expectation_proves_nothing_and_costs_little(
    expected: int, fixed: float, each: float, budget: int, highest: int
) -> None:
    memory = affine(fixed, each)
    true, _ = run(memory, budget * MIB, highest)
    search, probes = run(memory, budget * MIB, highest, expected=expected)
    assert proven(search, probes, highest) and search.limit == true.limit
    assert len(probes) <= 10


@given(
    region=st.sampled_from([64, 256, 1024]),
    each=st.floats(1, 300),
    budget=st.integers(1500, 9000),
    off=st.floats(0.8, 1.2),
)
def test_an_expectation_of_memory_in_steps(
    region: int, each: float, budget: int, off: float
) -> None:
    def memory(batch: int) -> float:
        return (700 + ceil(each * batch / region) * region) * MIB

    true, _ = run(memory, budget * MIB)
    search, probes = run(memory, budget * MIB, expected=round(true.limit * off))
    assert proven(search, probes, 1024) and search.limit == true.limit
    assert len(probes) <= 14


def test_not_even_one() -> None:
    search, probes = run(affine(5000, 50), 4096 * MIB)
    assert (search.limit, search.fails_at) == (0, 1)
    assert [p.batch_size for p in probes] == [4, 2, 1]


def test_the_highest_fits() -> None:
    search, probes = run(affine(500, 1), 8192 * MIB)
    assert (search.limit, search.fails_at) == (1024, None)
    assert len(probes) <= 4


def test_a_disguised_failure_is_confirmed_once() -> None:
    search, probes = run(affine(900, 43), 6144 * MIB, failure="disguised_oom")
    assert proven(search, probes, 1024)
    assert [p.batch_size for p in probes].count(search.fails_at or 0) == 2
    assert len(probes) <= 6


def test_a_disguised_failure_that_does_not_come_again_moves_the_limit() -> None:
    search = Search(100, 8, probes=[probe(4, "ok", 40), probe(5, "disguised_oom")])
    assert search.next() == 5
    search.add(probe(5, "ok", 50))
    assert search.limit == 5 and search.fails_at is None


def test_other_outcomes_are_no_knowledge() -> None:
    for outcome in ("timeout", "error"):
        with pytest.raises(ValueError, match="says nothing about memory"):
            Search(100, 8).add(probe(1, outcome))


def test_a_search_from_the_same_probes_resumes_at_the_same_point() -> None:
    memory, budget = affine(900, 43), 6144 * MIB
    _, probes = run(memory, budget)
    for stopped in range(len(probes)):
        known = probes[:stopped]
        search, rest = run(memory, budget, probes=known)
        assert [*known, *rest] == probes


def test_a_search_with_an_expectation_resumes_at_the_same_point() -> None:
    memory, budget = affine(900, 43), 6144 * MIB
    _, probes = run(memory, budget, expected=136)
    for stopped in range(len(probes)):
        _, rest = run(memory, budget, probes=probes[:stopped], expected=136)
        assert [*probes[:stopped], *rest] == probes


def test_lines() -> None:
    assert fit_line({}) is None and fit_line({4: 100}) is None
    assert fit_line({4: 140, 16: 260}) == Fit(100, 10)
    assert Fit(100, 10).largest(250) == 15 and Fit(100, 0).largest(250) == float("inf")
    line = fit_line({1: 130, 4: 140, 16: 260})
    assert line is not None and line.peak_bytes(16) == 260  # through the largest
