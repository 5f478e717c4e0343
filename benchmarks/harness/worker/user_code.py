"""The user's own classes and models, imported in a worker by their names, such as `my_module:MyCallback`.

    python -m benchmarks.harness.worker.user_code callbacks ANSWER.json FOLDER NAME...

writes for each name the classes that it derives from, or in one line why it cannot be made.

    python -m benchmarks.harness.worker.user_code model ANSWER.json FOLDER NAME

writes the backend that trains the model of a function, or in one line why none can.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.jobs.job import Job
from benchmarks.harness.jobs.pipe import die_with_parent
from benchmarks.harness.worker.imports import show_all
from frameworks.contract import (
    Examples,
    Recipe,
    SessionSpec,
    Start,
    backends,
    described,
    load_user_code,
    make_model,
)

LABELS, VOCABULARY, LENGTH = 3, 1000, 16  # of the texts that a new model is tried with


def callbacks(job: Job) -> tuple[type, ...]:
    """The classes of a job's callbacks."""
    folder = job.code_folder
    return tuple(load_class(name, folder) for name in job.callbacks)


def own_model(job: Job) -> Callable[..., Any] | None:
    """The function that makes a job's model; None where the model is ftbench's."""
    name = backends()[job.key.backend].own_model
    if name is None:
        return None
    show_all()
    function: Callable[..., Any] = load_user_code(name, job.code_folder)
    return function


def names(job: Job) -> list[str]:
    """The user's own code in a job."""
    model = backends()[job.key.backend].own_model
    return [*job.callbacks, *([model] if model else [])]


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
    return _bases(found)


def backend_of_model(name: str, folder: Path) -> dict[str, str]:
    """The backend that trains the model of a function, found by the model's class and tried with two
    texts; or the problem, in one line."""
    try:
        function = load_user_code(name, folder)
        if not callable(function):
            raise ValueError("it is not a function")
        spec = example(function)
        found = _bases(type(make_model(spec)))
        fitting = [b for b in backends().values() if b.model_class and b.model_class in found]
        if not fitting:
            known = [b.model_class.split(".")[0] for b in backends().values() if b.model_class]
            raise ValueError(f"it returns {found[0]}, not a model of {' or '.join(known)}")
        importlib.import_module(f"{fitting[0].package}.model").build(spec)
    except ValueError as error:
        return {"problem": " ".join(str(error).split())}
    except Exception as error:  # noqa: BLE001 - whatever the user's function or model raises
        place = blamed(error, [name])
        return {"problem": described(error) + (f" ({place})" if place else "")}
    return {"backend": fitting[0].name}


def example(function: Callable[..., Any]) -> SessionSpec:
    """Two texts of a few tokens."""
    lengths = np.array([LENGTH, LENGTH // 2])
    generator = np.random.default_rng(0)
    examples = Examples(
        ids=generator.integers(1, VOCABULARY, lengths.sum()).astype(np.int32),
        offsets=np.array([0, *lengths.cumsum()]),
        second_starts=lengths.astype(np.int32),
        labels=np.array([0, LABELS - 1], np.int32),
        pad_id=0,
        has_token_types=True,
    )
    start = Start(Path(), "bert", LABELS, VOCABULARY, LENGTH)
    return SessionSpec(Recipe(batch_size=2, length=LENGTH), start, examples, own_model=function)


def _bases(kind: type) -> list[str]:
    return [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]


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
    kind, answer, folder, *names = sys.argv[1:]
    if kind == "model":
        found: dict[str, Any] = backend_of_model(names[0], Path(folder))
    else:
        found = {name: classes(name, Path(folder)) for name in names}
    Path(answer).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
