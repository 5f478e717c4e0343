"""Checkpoints on disk: whole or not at all, the last ones, never a damaged or a foreign one."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.harness.worker.training_checkpoints import (
    AnotherTraining,
    CheckpointFolders,
    Progress,
    TrainingCheckpoints,
)
from frameworks.contract import Feed, Recipe, Session
from frameworks.contract.user_code import make_callbacks
from tests.frameworks.conftest import make_examples

pytestmark = pytest.mark.once
TRAINING = {"recipe.batch_size": "8", "training data": "abc"}


def fill(folder: Path) -> None:
    (folder / "session").mkdir()
    (folder / "session" / "weights").write_bytes(bytes(range(256)))


@pytest.fixture
def folders(tmp_path: Path) -> CheckpointFolders:
    found = CheckpointFolders(tmp_path / "job", 2, TRAINING)
    for step in (5, 10, 15):
        found.write(step, fill)
    return found


def newest(folders: CheckpointFolders) -> tuple[str | None, list[str]]:
    lines: list[str] = []
    found = folders.newest(lines.append)
    return found and found.name, lines


def test_the_last_ones_stay(folders: CheckpointFolders, tmp_path: Path) -> None:
    assert folders.steps() == [10, 15]
    assert newest(folders) == ("step-15", [])
    assert newest(CheckpointFolders(tmp_path / "another job", 2, TRAINING)) == (None, [])


@pytest.mark.parametrize("name", ["manifest.json", "session/weights"])
@pytest.mark.parametrize("damage", ["other", "short", "gone"])
def test_a_damaged_one_is_not_used_and_that_is_said(
    name: str, damage: str, folders: CheckpointFolders, tmp_path: Path
) -> None:
    file = tmp_path / "job" / "step-15" / name
    if damage == "gone":
        file.unlink()
    else:
        whole = file.read_bytes()
        file.write_bytes(whole[:40] if damage == "short" else whole[:-9] + b"!" + whole[-8:])
    name, (line,) = newest(folders)
    assert name == "step-10"
    assert line.startswith("the checkpoint of step 15 is damaged (")
    assert line.endswith("): the one of step 10 is used")
    folders.write(12, fill)
    assert folders.steps() == [10, 12]  # the damaged one does not pass for a newer one


def test_without_another_one_that_is_said(folders: CheckpointFolders, tmp_path: Path) -> None:
    for file in tmp_path.rglob("weights"):
        file.write_bytes(b"")
    name, lines = newest(folders)
    assert name is None and lines[1].endswith(": there is no earlier one")


def test_one_of_another_training_is_refused(folders: CheckpointFolders, tmp_path: Path) -> None:
    changed = {**TRAINING, "recipe.batch_size": "16"}
    with pytest.raises(AnotherTraining) as caught:
        newest(CheckpointFolders(tmp_path / "job", 2, changed))
    line = str(caught.value)
    assert "recipe.batch_size was 8, now it is 16" in line and "\n" not in line
    assert folders.steps() == [10, 15]


@contextmanager
def full_disk(bytes_left: int) -> Iterator[None]:
    """No file may grow beyond this size, which to a writer is what a full disk is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_earlier_ones(folders: CheckpointFolders, tmp_path: Path) -> None:
    with full_disk(100), pytest.raises(OSError):
        folders.write(20, fill)
    assert folders.steps() == [10, 15] and newest(folders) == ("step-15", [])
    assert not [path for path in (tmp_path / "job").iterdir() if path.name.startswith(".")]


class Writes:
    """A session of 6 steps in 3 epochs that only writes its state."""

    spec = SimpleNamespace(
        feed=Feed(make_examples(8, pairs=False), Recipe(batch_size=4, length=16, epochs=3)),
        callbacks=(),
    )

    def __init__(self, *callbacks: object) -> None:
        self.callbacks, self.callback_states = callbacks, {}

    def load_state(self, folder: Path) -> None:
        assert (folder / "weights").is_file()

    def save_state(self, folder: Path) -> None:
        (folder / "weights").write_bytes(bytes(256))


class CannotWrite(Writes):
    save_state = Session.save_state


def progress(step: int) -> Progress:
    return Progress(
        step=step, training_seconds=1, evaluation_seconds=0, first_step_seconds=1, evaluations=[]
    )


def test_a_training_continues_without_checkpoints_and_says_so_once(
    folders: CheckpointFolders,
) -> None:
    lines: list[str] = []
    checkpoints = TrainingCheckpoints(Writes(), folders, 2, lines.append)
    with full_disk(100):
        checkpoints.save(progress(20), None)
        checkpoints.save(progress(22), None)
    (line,) = lines
    assert line.startswith("no checkpoint of step 20 (") and "earlier checkpoints are kept" in line
    checkpoints.save(progress(24), None)
    assert len(lines) == 1 and folders.steps() == [15, 24]


class Counts:
    """A callback with a state, which may be any."""

    def __init__(self, start: int = 0) -> None:
        self.start, self.seen = start, []

    def state(self) -> object:
        return {"args": {"start": self.start}, "attributes": {"seen": self.seen}}


class Plain(Counts):
    state = "no method"


def test_callbacks_continue_with_the_state_that_they_write(tmp_path: Path) -> None:
    lines: list[str] = []
    before, after = Counts(3), Writes()
    before.seen = [1, {"loss": 0.1}]
    after.spec = SimpleNamespace(feed=Writes.spec.feed, callbacks=(Counts, Plain))
    for session in (Writes(before, Plain()), after):
        folders = CheckpointFolders(tmp_path / "callbacks", 2, TRAINING)
        checkpoints = TrainingCheckpoints(session, folders, 2, lines.append)
        if session is not after:
            checkpoints.save(progress(4), None)
    assert checkpoints.load() == (progress(4), None)
    (line,) = lines
    assert line.startswith(
        "continues after step 4 of 6, from a checkpoint; what these callbacks kept"
    )
    assert line.endswith(f": {__name__}:Plain")
    counts, plain = make_callbacks(after.spec.callbacks, after.callback_states)
    assert (counts.start, counts.seen, plain.seen) == (3, before.seen, [])


@pytest.mark.parametrize("state", [3, {"seen": 1}, {"attributes": {"seen": {1}}}])
def test_a_state_that_cannot_be_written_is_one_line(
    state: object, folders: CheckpointFolders
) -> None:
    lines: list[str] = []
    counts = Counts()
    counts.state = lambda: state
    checkpoints = TrainingCheckpoints(Writes(counts), folders, 2, lines.append)
    checkpoints.save(progress(20), None)
    (line,) = lines
    assert line.startswith(f"no checkpoints of this training: {__name__}:Counts.state() ")
    assert "\n" not in line and folders.steps() == [10, 15]


def test_a_backend_that_cannot_write_its_state_says_so_once(folders: CheckpointFolders) -> None:
    lines: list[str] = []
    checkpoints = TrainingCheckpoints(CannotWrite(), folders, "epoch", lines.append)
    assert [step for step in range(1, 7) if checkpoints.due(step)] == [2, 4]
    checkpoints.save(progress(2), None)
    assert lines == [
        "no checkpoints of this training: this backend cannot save the state of a training"
    ]
    assert not any(checkpoints.due(step) for step in range(1, 7))


def test_what_a_killed_process_left_is_no_checkpoint(
    folders: CheckpointFolders, tmp_path: Path
) -> None:
    partial = tmp_path / "job" / ".step-20.partial"
    partial.mkdir()
    fill(partial)
    assert newest(folders) == ("step-15", [])
    folders.write(20, fill)
    assert folders.steps() == [15, 20] and not partial.exists()
