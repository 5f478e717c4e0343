"""Environments that share one run, as one call of tox makes them.

Each records what it can run. One that comes later starts the earlier ones' workers for its races,
so that backends whose libraries exclude each other are timed in one interleaved race.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil
from pydantic import ValidationError

from benchmarks.harness.jobs.attempt import Environment, here
from benchmarks.harness.machine import packages
from results import store

FOLDER = "environments"  # inside a run's folder; its files name paths of this machine


def share_environment(run: Path, backends: Iterable[str]) -> None:
    """Records, for environments that join the run later, which backends this one can run.

    Errors: StoreError, or OSError where the folder cannot be made."""
    (run / FOLDER).mkdir(exist_ok=True)
    for backend in backends:
        if packages.missing_packages(backend) is None:
            store.write_record(run / FOLDER / f"{backend}.json", here())


def environments_to_come(join: str) -> list[str]:
    """Of the environments that share this run, 'torch, tf', those that come after this one, as far as
    tox's call says."""
    sharing = join.replace(",", " ").split()
    try:
        command = psutil.Process(os.getppid()).cmdline() if sharing else []
    except psutil.Error:
        return []
    return later_environments(command, os.environ.get("TOX_ENV_NAME", ""), sharing)


def later_environments(command: Sequence[str], current: str, sharing: Sequence[str]) -> list[str]:
    """The environments that one call of tox, such as `tox -e torch,tf`, runs after the `current`
    one, of those that share a run. None where the call names its environments in another way."""
    words = iter(command)
    for word in words:
        if word.startswith("-e"):
            names = (word.removeprefix("-e").removeprefix("=") or next(words, "")).split(",")
            later = names[names.index(current) + 1 :] if current in names else []
            return [name for name in later if name in sharing]
    return []


def shared_environments(run: Path) -> dict[str, Environment]:
    """The environments that joined the run earlier and still exist, by backend. Damaged files are
    skipped."""
    found = {}
    for path in sorted((run / FOLDER).glob("*.json")):
        try:
            environment = Environment.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            continue
        if environment.python.exists():
            found[path.stem] = environment
    return found
