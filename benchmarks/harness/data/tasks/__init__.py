"""The tasks: data sets and their labels. A task is one TOML file in this folder."""

from __future__ import annotations

import hashlib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.harness.data.readers import file_type, types_text
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine.paths import user_path

LONGEST_NAME = 48  # characters; names are parts of file names
# owner/name, then a configuration and a revision if any
_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?(?:@([\w.-]+))?")


class Task(BaseModel):
    """A data set: where its texts and labels are, and the names of its labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    item: str = "example"  # what one example is called
    hub_id: str | None = None
    hub_config: str | None = None
    hub_revision: str | None = None  # a commit
    file: Path | None = None  # of a custom task: a local file or folder
    evaluation_file: Path | None = None  # of a custom task: its evaluation part
    text_column: str
    second_column: str | None = None
    label_column: str
    # Label i is called label_names[i]. Of a custom task they are known once it is loaded: see
    # TaskData.task.
    label_names: tuple[str, ...] = ()
    train_split: str = "train"
    evaluation_splits: dict[str, str] = Field(default_factory=dict)  # shown name: split or file
    published_train_examples: int | None = None
    generator: Literal["reviews", "pairs"] | None = None  # the shape of its embedded texts
    targets: dict[str, float] = Field(default_factory=dict)  # a score that counts as reached
    custom: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that hold text."""
        return (
            (self.text_column,)
            if self.second_column is None
            else (self.text_column, self.second_column)
        )


@cache
def _tasks() -> dict[str, Task]:
    files = sorted(Path(__file__).parent.glob("*.toml"))
    tasks = [Task.model_validate(tomllib.loads(file.read_text("utf-8"))) for file in files]
    return {task.name: task for task in tasks}


def task_names() -> list[str]:
    return list(_tasks())


def find_task(name: str) -> Task:
    """Raises UserError with the nearest names when there is no such task."""
    if name not in _tasks():
        raise unknown("task", name, _tasks())
    return _tasks()[name]


def custom_task(
    path_or_hub_id: str,
    *,
    text: str,
    second: str | None,
    label: str,
    name: str | None = None,
    evaluation: str | None = None,
) -> Task:
    """The user's own task: a file, a folder, or a hub id ('owner/name', with ':configuration' if
    it has several and '@revision' to pin it), and the names of its columns. `evaluation` is a
    file or folder with the examples to evaluate on. Label names and evaluation sets are known
    once the data is loaded."""
    if not text or not label or text == label or second in (text, label):
        raise UserError(
            f"columns of {path_or_hub_id!r}: text {text!r}, second text {second!r} and label {label!r}: name "
            "different columns"
        )
    common: dict[str, Any] = {
        "text_column": text,
        "second_column": second,
        "label_column": label,
        "custom": True,
        "item": "example" if second is None else "pair",
        "evaluation_file": _data_path(evaluation) if evaluation else None,
    }
    path = user_path(path_or_hub_id)
    hub = _HUB_ID.fullmatch(path_or_hub_id)
    if file_type(path) or _exists(path) or not hub:
        title = name or _stem(path)
        file = _data_path(path_or_hub_id)
        return Task(name=_plain(title), title=title, file=file, **common)
    hub_id, configuration, revision = hub.groups()
    return Task(
        name=_plain(name or hub_id),
        title=name or hub_id,
        hub_id=hub_id,
        hub_config=configuration,
        hub_revision=revision,
        **common,
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder without permission
        return False


def _data_path(text: str) -> Path:
    """Errors: UserError for what is neither a folder nor a file of a supported type."""
    path = user_path(text)
    if not _exists(path):
        if file_type(path):
            raise UserError(f"data file {text!r} does not exist: check the path")
        raise UserError(
            f"data set {text!r} does not exist: name a file ({types_text()}), a folder, or a hub id "
            "(owner/name)"
        )
    if not path.is_dir() and file_type(path) is None:
        raise UserError(f"data file {path.name!r} has an unsupported type: use {types_text()}")
    return path.absolute()


def _stem(path: Path) -> str:
    kind = file_type(path)
    name = path.absolute().name
    return name[: name.lower().rindex(kind)] if kind else name


def _plain(name: str) -> str:
    """A short name that is safe in file names and on a command line."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
    if len(plain) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        plain = f"{plain[: LONGEST_NAME - 9].rstrip('-')}-{digest}"
    return f"my-{plain}" if plain in _tasks() else plain
