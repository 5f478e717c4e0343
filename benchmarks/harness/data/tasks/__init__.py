"""The tasks: data sets and their labels. Adding one is one TOML file in this folder."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.harness.errors import UserError, unknown

FILE_TYPES = (".csv", ".jsonl", ".parquet")
# owner/name, then a configuration and a revision if any
_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?(?:@([\w.-]+))?")


class Task(BaseModel):
    """A data set, where its texts and labels stand in it, and what its labels are called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    item: str = "example"  # what one example is called
    hub_id: str | None = None
    hub_config: str | None = None
    hub_revision: str | None = None  # a commit
    file: Path | None = None  # of a custom task in a local file
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
    path_or_hub_id: str, *, text: str, second: str | None, label: str, name: str | None = None
) -> Task:
    """The user's own task: a CSV, JSONL or parquet file, or a hub id ('owner/name', with
    ':configuration' where it has several and '@revision' to pin it), and its columns' names.
    Its label names and evaluation sets are known once it is loaded."""
    if not text or not label or text == label or second in (text, label):
        raise UserError(
            f"text column {text!r}, second {second!r} and label {label!r} of task "
            f"{path_or_hub_id!r} must be named and differ"
        )
    path = Path(path_or_hub_id)
    common: dict[str, Any] = {
        "text_column": text,
        "second_column": second,
        "label_column": label,
        "custom": True,
        "item": "example" if second is None else "pair",
    }
    if path.suffix.lower() in FILE_TYPES or path.is_file():
        if path.suffix.lower() not in FILE_TYPES:
            raise UserError(f"task file {path.name!r} is no {', '.join(FILE_TYPES)} file")
        if not path.is_file():
            raise UserError(f"task file {str(path)!r} is not there")
        return Task(
            name=_plain(name or path.stem), title=name or path.stem, file=path.absolute(), **common
        )
    hub = _HUB_ID.fullmatch(path_or_hub_id)
    if not hub:
        raise UserError(
            f"task {path_or_hub_id!r} is neither a {', '.join(FILE_TYPES)} file nor a "
            "hub id (owner/name)"
        )
    hub_id, configuration, revision = hub.groups()
    return Task(
        name=_plain(name or hub_id),
        title=name or hub_id,
        hub_id=hub_id,
        hub_config=configuration,
        hub_revision=revision,
        **common,
    )


def _plain(name: str) -> str:
    """A name that may stand in a file name and on a command line."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
    return f"my-{plain}" if plain in _tasks() else plain
