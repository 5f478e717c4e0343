"""The allocators' laws, each worked out by hand or held as a property over random traces."""

from __future__ import annotations

import os
import random
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.predict.allocators import malloc as malloc_module
from benchmarks.harness.predict.allocators.best_fit import BestFitRegions
from benchmarks.harness.predict.allocators.blocks import MIB, OutOfMemory, ordered, replay
from benchmarks.harness.predict.allocators.cuda import CudaCache
from benchmarks.harness.predict.allocators.malloc import malloc_peak

pytestmark = pytest.mark.once
GIB = 1024 * MIB


def held(allocator, *wanted: int) -> int:
    for size in wanted:
        allocator.take(size)
    return allocator.held_bytes


@pytest.mark.parametrize(
    ("wanted", "segments"),
    [
        ([1], 2 * MIB),
        ([MIB, MIB], 2 * MIB),  # small requests share a segment of 2 MiB
        ([MIB, MIB, 1], 4 * MIB),
        ([MIB + 1], 20 * MIB),
        ([9 * MIB, 9 * MIB], 20 * MIB),
        ([10 * MIB - 512], 20 * MIB),
        ([10 * MIB], 10 * MIB),
        ([10 * MIB + 1], 12 * MIB),
        ([19 * MIB, MIB + 1], 20 * MIB + 20 * MIB),
    ],
)
def test_cuda_takes_segments_by_size(wanted: list[int], segments: int) -> None:
    assert held(CudaCache(), *wanted) == segments


def test_cuda_keeps_what_is_given_back_and_cuts_it_again() -> None:
    cache = CudaCache()
    block = cache.take(100 * MIB)
    cache.give_back(block)
    assert held(cache, 60 * MIB, 40 * MIB) == 100 * MIB


def test_cuda_leaves_a_rest_of_a_mebibyte_in_its_block() -> None:
    cache = CudaCache()
    cache.give_back(cache.take(100 * MIB))
    cache.take(99 * MIB)
    cache.take(MIB + 1)  # the rest was not cut off, so it takes a segment of its own
    assert cache.held_bytes == 120 * MIB


def test_cuda_keeps_free_blocks_of_one_size_apart() -> None:
    """The first two lie in one segment, the third in the next."""
    cache = CudaCache()
    cache.give_back(cache.take(40 * MIB))
    blocks = [cache.take(20 * MIB) for _ in range(3)]
    assert [block.address for block in blocks] == [0, 20 * MIB, 40 * MIB]
    for block in blocks[1:]:
        cache.give_back(block)
    assert cache.take(20 * MIB) is blocks[1]


def test_cuda_gives_up_free_segments_before_it_fails() -> None:
    cache = CudaCache(100 * MIB)
    first = cache.take(60 * MIB)
    cache.take(10 * MIB)
    cache.give_back(first)
    assert held(cache, 80 * MIB) == 90 * MIB
    with pytest.raises(OutOfMemory):
        cache.take(20 * MIB)


def test_cuda_cannot_give_up_a_segment_that_is_in_use_in_part() -> None:
    cache = CudaCache(100 * MIB)
    whole = cache.take(60 * MIB)
    cache.give_back(whole)
    cache.take(2 * MIB)
    with pytest.raises(OutOfMemory):
        cache.take(90 * MIB)


def test_tensorflow_cuts_a_block_only_when_half_would_be_left() -> None:
    regions = BestFitRegions(100 * MIB)
    first = regions.take(40 * MIB)
    regions.take(1 * MIB)  # keeps the first from merging with the rest
    regions.give_back(first)
    assert regions.take(21 * MIB).bytes == 40 * MIB
    with pytest.raises(OutOfMemory):
        regions.take(60 * MIB)


def test_tensorflow_uses_its_one_region_from_below() -> None:
    assert held(BestFitRegions(GIB), 100, 300) == 256 + 512


def test_tensorflow_regions_double_as_they_are_asked_for() -> None:
    regions = BestFitRegions(growth=True)
    assert held(regions, 2 * MIB) == 2 * MIB
    assert held(regions, 2 * MIB) == 2 * MIB + 4 * MIB
    assert held(regions, 30 * MIB) == 6 * MIB + 32 * MIB


def test_tensorflow_tries_smaller_regions_once_only() -> None:
    """64 MiB are refused and become 30.6; of what is left then, none is allocated."""
    left = 100 * MIB
    regions = BestFitRegions(growth=True, room=lambda: left - regions.held_bytes)
    assert held(regions, 2 * MIB, 60 * MIB) == 66 * MIB * 33 // 32
    assert 99 * MIB < held(regions, 20 * MIB) < 100 * MIB
    with pytest.raises(OutOfMemory):
        regions.take(3 * MIB)


def test_a_region_that_leaves_no_room_for_its_handles_is_the_end() -> None:
    """64 MiB fit, and 8 bytes for each 256 of them do not."""
    for left, fits in ((65 * MIB, False), (66 * MIB, True)):
        regions = BestFitRegions(growth=True, room=lambda left=left: left)
        with nullcontext() if fits else pytest.raises(OutOfMemory):
            regions.take(33 * MIB)


def test_tensorflow_fails_where_no_smaller_region_is_enough() -> None:
    regions = BestFitRegions(growth=True, room=lambda: 100)
    with pytest.raises(OutOfMemory):
        regions.take(1)


def malloc(rows: list[tuple[int, int]], small: tuple[int, ...] = ()) -> int:
    return malloc_peak(*trace(rows), small)


def test_malloc_holds_what_lives_at_once() -> None:
    two_at_once, all_at_once = malloc([(40 * MIB, 1)] * 4), malloc([(40 * MIB, 9)] * 4)
    assert 80 * MIB <= two_at_once <= 81 * MIB
    assert 160 * MIB <= all_at_once <= 161 * MIB


def test_malloc_uses_no_memory_and_so_takes_more_than_there_is() -> None:
    assert malloc([(200 * MIB, 300)] * 200) >= 200 * 200 * MIB


def test_small_objects_come_and_go_with_their_blocks() -> None:
    """How they lie in the holes is left to the system's own malloc; that they are held is not."""
    kept, passing = [(MIB, 300)] * 200, [(MIB, 1)] * 200
    assert malloc(kept, (100_000, 50_000)) >= 200 * (MIB + 150_000)
    assert malloc(passing, (100_000, 50_000)) <= 40 * (MIB + 150_000)


def test_malloc_depends_on_no_folder_and_no_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where holes are left, one small object in another hole changes the peak by several MiB."""
    draw = random.Random(0)
    rows = [
        (draw.choice((4_000, 40_000, 400_000, 3 * MIB)), draw.randint(1, 300)) for _ in range(2000)
    ]
    found = malloc(rows, (40,))
    folder = tmp_path.joinpath(*["another folder"] * 40)
    folder.mkdir(parents=True)
    shutil.copy(malloc_module.PROCESS, folder)
    monkeypatch.setattr(malloc_module, "PROCESS", folder / malloc_module.PROCESS.name)
    monkeypatch.setenv("ANOTHER_VARIABLE", "x" * 100_000)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path * 10))
    monkeypatch.chdir(folder)
    assert malloc(rows, (40,)) == found


SIZES = st.lists(st.tuples(st.integers(1, 64 * MIB), st.integers(1, 40)), min_size=1, max_size=60)


def trace(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Buffers of these bytes, each freed so many others later."""
    events = sorted(
        [(i, 0, i) for i in range(len(rows))]
        + [(i + life, 1, i) for i, (_, life) in enumerate(rows)]
    )
    allocated_at, freed_at = np.zeros(len(rows), int), np.zeros(len(rows), int)
    for event, (_, ends, i) in enumerate(events):
        (freed_at if ends else allocated_at)[i] = event
    return allocated_at, freed_at, np.array([size for size, _ in rows])


def live_peak(allocated_at: np.ndarray, freed_at: np.ndarray, sizes: np.ndarray) -> int:
    return max(int(sizes[(allocated_at <= t) & (freed_at > t)].sum()) for t in allocated_at)


@pytest.mark.parametrize(
    "allocator", [CudaCache, BestFitRegions, lambda: BestFitRegions(growth=True)]
)
@given(rows=SIZES)
def test_an_allocator_holds_no_less_than_it_was_asked_for(allocator, rows) -> None:
    allocated_at, freed_at, sizes = trace(rows)
    made = allocator()
    found = replay(ordered(allocated_at, freed_at), sizes, made)
    assert found.held.max() >= found.in_use.max() >= live_peak(allocated_at, freed_at, sizes)
    assert found.held.argmax() in allocated_at


@pytest.mark.parametrize("allocator", [CudaCache, lambda limit: BestFitRegions(limit, growth=True)])
@given(rows=SIZES)
def test_a_limit_at_the_peak_holds_and_one_below_the_buffers_does_not(allocator, rows) -> None:
    allocated_at, freed_at, sizes = trace(rows)
    free = replay(ordered(allocated_at, freed_at), sizes, allocator(None))
    again = replay(ordered(allocated_at, freed_at), sizes, allocator(int(free.held.max())))
    assert (again.held == free.held).all()
    with pytest.raises(OutOfMemory):
        replay(
            ordered(allocated_at, freed_at),
            sizes,
            allocator(live_peak(allocated_at, freed_at, sizes) - 1),
        )
