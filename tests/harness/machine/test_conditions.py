"""The conditions of a process: its cores and its allocator."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.harness.machine import conditions

pytestmark = [pytest.mark.once, pytest.mark.smoke]


@pytest.mark.parametrize(
    ("cores", "text"),
    [({0}, "0"), ({0, 1, 2, 3}, "0-3"), ({8, 0, 1, 4, 5}, "0-1,4-5,8"), (set(), "")],
)
def test_cores_in_words(cores: set[int], text: str) -> None:
    assert conditions.ranges(cores) == text


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "C library"),
        ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "jemalloc"),
        ("/usr/lib/libtcmalloc.so.4.5.16", "tcmalloc"),
        ("/usr/lib/libtcmalloc_minimal.so.4", "tcmalloc"),
        ("/opt/conda/lib/libmimalloc.so.2.1", "mimalloc"),
        ("/home/me/jemalloc/notes.txt", "C library"),
    ],
)
def test_the_allocator_is_the_library_that_is_loaded(
    library: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "maps").write_text(f"7f00-7f01 r-xp 00000000 08:01 12 {library}\n")
    assert conditions.allocator(tmp_path) == name


def test_a_kernel_that_hides_it_is_unknown(tmp_path: Path) -> None:
    assert conditions.allocator(tmp_path) == "unknown"


def test_of_this_process() -> None:
    cores = os.sched_getaffinity(0)
    assert conditions.conditions()["affinity"] == conditions.ranges(cores)
