"""A file is made once, completely, by one process, and made again when damaged."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from benchmarks.harness.checkpoints.cache import cache_folder, make_once
from benchmarks.harness.errors import UserError


def write(text: str):
    return lambda path: path.write_text(text)


def says(text: str):
    return lambda path: path.read_text() == text


def test_the_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("FTBENCH_CACHE")
    assert cache_folder().name == "ftbench"


def test_a_thing_is_make_once(tmp_path):
    target = tmp_path / "deep" / "thing"
    assert not make_once(target, write("a"), says("a"))
    assert make_once(target, write("b"), says("a"))
    assert target.read_text() == "a"


def test_a_damaged_thing_is_made_again(tmp_path):
    target = tmp_path / "thing"
    target.write_text("dam")
    assert not make_once(target, write("good"), says("good"))
    assert target.read_text() == "good"


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()

    def make(path: Path) -> None:
        path.mkdir()
        (path / "new").touch()

    make_once(target, make, lambda path: (path / "new").exists())
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_failure_leaves_nothing_half_made(tmp_path):
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        make_once(tmp_path / "thing", fail, says("x"))
    assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]


def test_a_full_disk_is_reported(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")

    def fill(path: Path) -> None:
        Path("/dev/full").write_text("x" * 100_000)

    with pytest.raises(UserError, match="No space left on device.*FTBENCH_CACHE"):
        make_once(tmp_path / "thing", fill, says("x"))


def test_a_place_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*FTBENCH_CACHE"):
        make_once(tmp_path / "file" / "thing", write("x"), says("x"))


def _make_slowly(target: Path, log: Path) -> None:
    def make(path: Path) -> None:
        with log.open("a") as file:
            file.write("made\n")
        path.write_text("ha")
        time.sleep(0.5)
        path.write_text("half and half")

    make_once(target, make, says("half and half"))
    assert target.read_text() == "half and half"


def test_two_processes_make_it_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=_make_slowly, args=(tmp_path / "thing", tmp_path / "log"))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "log").read_text() == "made\n"


@pytest.mark.parametrize("named", ["~nobody-here/cache", "~nobody-here"])
def test_a_cache_without_a_home_is_reported(monkeypatch, named):
    monkeypatch.setenv("FTBENCH_CACHE", named)
    with pytest.raises(UserError, match="no home folder"):
        cache_folder()


def test_a_cache_may_begin_with_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FTBENCH_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"


def test_any_refusal_of_the_file_system_is_reported(tmp_path):
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(UserError, match="cannot write .*Input/output error.*FTBENCH_CACHE"):
        make_once(tmp_path / "thing", fail, says("x"))
