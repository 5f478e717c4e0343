"""The user's own classes, imported in a worker by their names, such as `my_module:MyCallback`.

    python -m benchmarks.harness.worker.user_code ANSWER.json FOLDER NAME...

writes for each name the classes that it derives from, or in one line why it cannot be made.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.jobs.job import Job
from benchmarks.harness.jobs.pipe import die_with_parent
from benchmarks.harness.worker.imports import show_all
from frameworks.contract import described, load_user_code


def callbacks(job: Job) -> tuple[type, ...]:
    """The classes of a job's callbacks."""
    folder = job.code_folder
    return tuple(load_class(name, folder) for name in job.callbacks)


def load_class(name: str, folder: Path) -> type:
    """Errors: ValueError for a name that cannot be imported, or is no class."""
    show_all()
    found = load_user_code(name, folder)
    if not isinstance(found, type):
        raise ValueError(f"{name} is not a class")
    return found


def classes(name: str, folder: Path) -> list[str] | str:
    """The classes that a name's class derives from, made once; or what went wrong, in one line."""
    try:
        found = load_class(name, folder)
    except ValueError as error:
        return str(error)
    try:
        found()
    except Exception as error:  # noqa: BLE001 - whatever the user's class raises
        return f"{name} cannot be made: {described(error)}"
    return [f"{base.__module__}.{base.__qualname__}" for base in found.__mro__]


def blamed(error: BaseException, names: Sequence[str]) -> str | None:
    """Where in the user's modules an exception came from, 'my_module line 12'; None where it did
    not pass through them."""
    modules = dict.fromkeys(name.partition(":")[0] for name in names)
    files = {getattr(sys.modules.get(module), "__file__", None): module for module in modules}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = files.get(frame.f_code.co_filename)
        if module is not None:
            return f"{module} line {line}"
    return None


def main() -> int:
    die_with_parent()
    answer, folder, *names = sys.argv[1:]
    found = {name: classes(name, Path(folder)) for name in names}
    Path(answer).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
