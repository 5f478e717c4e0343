"""Runs as the report reads them from their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from results.report.view import Run
from results.store import (
    is_of_earlier_version,
    read_certificates,
    read_prediction_cases,
    read_predictions,
    read_run,
    read_tuning,
)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    return [_run(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]


def _names(folders: Sequence[Path]) -> list[str]:
    """A run is called by its folder, with the folder above it where two have the same name."""
    paths = [folder.absolute() for folder in folders]
    names = [path.name for path in paths]
    return [
        path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}"
        for path in paths
    ]


def _run(folder: Path, name: str) -> Run:
    info, measurements, problems = read_run(folder)
    certificates, damaged = read_certificates(folder)
    predictions, unread = read_predictions(folder)
    cases, bad_cases = read_prediction_cases(folder)
    return Run(
        name,
        folder,
        info,
        measurements,
        [*problems, *damaged, *unread, *bad_cases],
        certificates,
        predictions,
        cases,
        read_tuning(folder),
        is_of_earlier_version(folder),
    )
