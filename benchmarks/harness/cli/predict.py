"""What `ftbench predict` is asked for: options to works, results to files and text."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from benchmarks.harness.cli.options import PREDICT_OPTIONS
from benchmarks.harness.data import tasks
from benchmarks.harness.errors import UserError, unknown
from benchmarks.harness.machine import gpu_types, packages
from benchmarks.harness.machine.device import choose_device
from benchmarks.harness.plan.plan import command_line
from benchmarks.harness.plan.profile import load_profile
from benchmarks.harness.plan.validation import explain, parse_overrides
from benchmarks.harness.predict import check as predict_check
from benchmarks.harness.predict import predictions, text
from benchmarks.harness.predict.workload import Workload
from benchmarks.harness.run.folder import run_folder
from frameworks import contract
from frameworks.contract import Device, Recipe
from results import schema, store
from results.analysis.predictions import Errors, errors
from results.schema import Measurement, Prediction, PredictionCase, RunInfo

USUAL_CHECKPOINT = "minilm"
UNITS = {"bytes": "peaks", "examples": "limits"}


def predict(options: argparse.Namespace, command: list[str]) -> Path:
    """Predicts, prints and keeps it as a run; its folder.

    Errors: UserError for whatever is wrong with the options."""
    label_names = (tasks.find_task(options.task).label_names if options.task else ()) or ("0", "1")
    for name in options.gpu:
        gpu_types.gpu_type(name)
    device = choose_device("auto")
    found = predictions.predict(
        works_of(options),
        label_names,
        options.gpu or list(gpu_types.gpu_types()),
        options.budget,
        None if options.backend else _say,
    )
    if options.json:
        print(json.dumps([p.model_dump(mode="json") for p in found], indent=1))
    else:
        print("\n\n".join(text.text(p) for p in found))
    return kept(Path(options.results), found, command, device)


def works_of(options: argparse.Namespace) -> list[Workload]:
    """Backends x devices x lengths."""
    known = contract.backends()
    chosen = options.backend or list(known)
    for backend in chosen:
        if backend not in known:
            raise unknown("backend", backend, known)
    found = []
    for backend in chosen:
        missing = packages.missing_packages(backend)
        if missing and options.backend:
            raise UserError(f"backend {backend}: {missing}")
        if missing:
            print(f"{backend} left out: {missing}", file=sys.stderr)
            continue
        for length in dict.fromkeys(options.length or [None]):
            checkpoint, recipe = recipe_of(options, backend, length)
            found += [
                Workload(backend, checkpoint, device, options.phase, recipe)
                for device in devices_of(options, recipe)
            ]
    if not found:
        extra = known[chosen[0]].extra
        raise UserError(f"no backend is installed here: pip install -e '.[{extra}]'")
    return found


def recipe_of(options: argparse.Namespace, backend: str, length: int | None) -> tuple[str, Recipe]:
    """The checkpoint and the recipe: a task's in a profile, or the usual ones."""
    overrides = parse_overrides(options.recipe)
    if length is not None:
        overrides |= {"length": length}
    try:
        if not options.task:
            if options.profile:
                raise UserError(
                    f"--profile {options.profile}: a recipe stands under a task; name "
                    "it with --task"
                )
            return options.checkpoint or USUAL_CHECKPOINT, Recipe(**overrides)
        profile = load_profile(options.profile or "quick")
        if options.task not in profile.tasks:
            raise unknown("task", options.task, profile.tasks)
        recipe = profile.recipe_for(backend, options.task, overrides)
        return options.checkpoint or profile.checkpoint, recipe
    except ValidationError as error:
        raise UserError(f"recipe: {explain(error, Recipe)}") from None


def devices_of(options: argparse.Namespace, recipe: Recipe) -> list[Device]:
    """Both where neither is asked for; a CPU then only in a precision that one has."""
    cpu_too = contract.unsupported_precision("cpu", recipe.precision) is None and not options.gpu
    wanted: dict[Device, bool] = {
        "gpu": bool(options.gpu) or not options.budget,
        "cpu": bool(options.budget) or cpu_too,
    }
    return [device for device, asked in wanted.items() if asked]


def kept(
    root: Path, found: Sequence[Prediction], command: list[str], device: schema.Device
) -> Path:
    """A new run's folder with the predictions. Errors: UserError where it cannot be written."""
    now = datetime.now(UTC)
    info = RunInfo(
        run=f"{now:%Y%m%d-%H%M%S}-predict",
        profile="predict",
        command=command_line(command),
        started_at=now.isoformat(timespec="seconds"),
        ftbench_version=packages.own_version(),
        device=device,
    )
    try:
        folder = store.create_run(root, info)
        for p in found:
            length, precision = p.recipe["length"], p.recipe["precision"]
            name = f"{p.backend}-{p.device}-{length}-{precision}-{p.phase}"
            store.write_prediction(folder, name, p)
    except store.StoreError as error:
        raise UserError(f"{error}; choose another folder with --results") from None
    return folder


def check(options: argparse.Namespace) -> Path:
    """Writes prediction_cases.json into the first run and prints how far off predictions were.

    Errors: UserError for what is no run."""
    extra = [
        flag
        for flag, settings in PREDICT_OPTIONS
        if flag not in ("--check", "--results")
        and getattr(options, flag[2:])
        != settings.get("default", False if "action" in settings else None)
    ]
    if extra:
        raise UserError(f"--check predicts what the runs measured: leave out {', '.join(extra)}")
    folders = [run_folder(Path(options.results), name) for name in options.check]
    measurements: list[Measurement] = []
    for folder in folders:
        _, taken, damaged = store.read_run(folder)
        measurements += taken
        for problem in damaged:
            _say(f"left out: {problem}")
    folder = folders[0]
    cases = predict_check.cases(measurements, _say) + _kept_cases(folder)
    try:
        path = store.write_prediction_cases(folder, cases)
    except store.StoreError as error:
        raise UserError(str(error)) from None
    print(summary(cases))
    return path


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _kept_cases(folder: Path) -> list[PredictionCase]:
    """Those of an earlier check in an environment that has the backends which are missing here."""
    not_here = predict_check.not_here()
    cases, damaged = store.read_prediction_cases(folder) if not_here else ([], [])
    kept = [case for case in cases if case.backend in not_here]
    for backend in dict.fromkeys(case.backend for case in kept):
        n = sum(case.backend == backend for case in kept)
        _say(f"{backend}: {n} cases of an earlier check are kept")
    for problem in damaged:
        _say(f"not kept: {problem}")
    return kept


def summary(cases: Sequence[PredictionCase]) -> str:
    """One line per backend, device, unit and source. Cases that the calibration has seen, and what
    was published under other conditions, do not count."""
    lines = []
    counted = [c for c in cases if not c.fitted and c.conditions is None]
    groups = itertools.product(contract.backends(), ("cpu", "gpu"), UNITS, (True, False))
    for backend, device, unit, measured in groups:
        own = [
            c
            for c in counted
            if (c.backend, c.device, c.unit) == (backend, device, unit)
            and (c.source == "measured") == measured
        ]
        if own:
            lines.append(
                f"{backend} on a {device.upper()}, "
                f"{'measured' if measured else 'published'} {UNITS[unit]}: "
                f"{_said(errors(own))}"
            )
    fitted = sum(c.fitted for c in cases)
    other = sum(c.conditions is not None for c in cases)
    return "\n".join(
        [
            *lines,
            f"left out: {fitted} cases that the calibration has seen, {other} "
            "that were published under other conditions",
        ]
    )


def _said(e: Errors) -> str:
    words = [f"{e.cases} case{'s' * (e.cases != 1)}"]
    if e.median is not None and e.worst is not None:
        words += [f"median error {e.median:.1%}", f"worst {e.worst:+.1%}"]
    if e.within_step and e.worst_steps is not None:
        words += [f"within one step {e.within_step.value:.0%}", f"worst {e.worst_steps:+} steps"]
    if e.inside:
        words.append(f"inside the range {e.inside.value:.0%}")
    if e.broken:
        words.append(f"promised what then failed {e.broken.value:.0%}")
    if e.undecided:
        words.append(f"{e.undecided} undecided")
    return ", ".join(words)
