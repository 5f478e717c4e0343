"""How far off are predictions of memory? `ftbench predict --check RUN ...`"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.errors import UserError
from benchmarks.studies import prediction_cases
from frameworks.contract import backends
from results import store
from results.analysis.predictions import Errors, errors
from results.schema import Measurement, PredictionCase

UNITS = {"bytes": "peaks", "examples": "limits"}


def check(folders: Sequence[Path]) -> Path:
    """Predicts what these runs measured, prints a summary of the errors and writes all cases into
    the first run's prediction_cases.json; its path.

    Errors: UserError where it cannot be written."""
    measurements: list[Measurement] = []
    for folder in folders:
        _, found, damaged = store.read_run(folder)
        measurements += found
        for problem in damaged:
            _say(f"skipped: {problem}")
    cases = prediction_cases.cases(measurements, _say) + _earlier_cases(folders[0])
    try:
        path = store.write_prediction_cases(folders[0], cases)
    except store.StoreError as error:
        raise UserError(str(error)) from None
    print(summary(cases))
    return path


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _earlier_cases(folder: Path) -> list[PredictionCase]:
    """Cases of an earlier check, in an environment with backends that are not installed here."""
    missing = prediction_cases.not_installed()
    cases, damaged = store.read_prediction_cases(folder) if missing else ([], [])
    kept = [case for case in cases if case.backend in missing]
    for backend in dict.fromkeys(case.backend for case in kept):
        count = sum(case.backend == backend for case in kept)
        _say(f"{backend}: kept {count} cases of an earlier check")
    for problem in damaged:
        _say(f"skipped: {problem}")
    return kept


def summary(cases: Sequence[PredictionCase]) -> str:
    """One line per backend, device, unit and source. Cases that were used for the calibration, or
    that were published under other conditions, do not count."""
    lines = []
    counted = [c for c in cases if not c.fitted and c.conditions is None]
    groups = itertools.product(backends(), ("cpu", "gpu"), UNITS, (True, False))
    for backend, device, unit, measured in groups:
        own = [
            c
            for c in counted
            if (c.backend, c.device, c.unit) == (backend, device, unit)
            and (c.source == "measured") == measured
        ]
        if own:
            source = "measured" if measured else "published"
            name = f"{backend} on a {device.upper()}, {source} {UNITS[unit]}"
            lines.append(f"{name}: {_errors_text(errors(own))}")
    fitted = sum(c.fitted for c in cases)
    other = sum(c.conditions is not None for c in cases)
    lines.append(
        f"not counted: {fitted} cases that were used for the calibration, {other} that were "
        "published under other conditions"
    )
    return "\n".join(lines)


def _errors_text(e: Errors) -> str:
    words = [f"{e.cases} case" if e.cases == 1 else f"{e.cases} cases"]
    if e.median is not None and e.worst is not None:
        words += [f"median error {e.median:.1%}", f"worst {e.worst:+.1%}"]
    if e.within_step and e.worst_steps is not None:
        words += [f"within one step {e.within_step.value:.0%}", f"worst {e.worst_steps:+} steps"]
    if e.inside:
        words.append(f"inside the range {e.inside.value:.0%}")
    if e.broken:
        words.append(f"lower end of the range failed {e.broken.value:.0%}")
    if e.undecided:
        words.append(f"{e.undecided} undecided")
    return ", ".join(words)
