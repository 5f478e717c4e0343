"""Environments that add to one run, as one call of tox makes them: each says what it can run, and
those that join later borrow its workers for their races. So backends whose libraries exclude each
other take turns in one race all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from benchmarks.harness.jobs.attempt import Environment, here
from benchmarks.harness.machine import packages
from results import store

FOLDER = "environments"  # inside a run's; what lies there names this machine's own paths


def lend(run: Path, backends: Iterable[str]) -> None:
    """Tells those who join the run later what this environment can run.

    Errors: StoreError, or OSError where the folder cannot be made."""
    (run / FOLDER).mkdir(exist_ok=True)
    for backend in backends:
        if packages.missing_packages(backend) is None:
            store.write_record(run / FOLDER / f"{backend}.json", here())


def lent(run: Path) -> dict[str, Environment]:
    """By backend, the environments that joined a run before and are still there. One whose file
    is damaged lends nothing."""
    found = {}
    for path in sorted((run / FOLDER).glob("*.json")):
        try:
            environment = Environment.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            continue
        if environment.python.exists():
            found[path.stem] = environment
    return found
