"""ftbench predict: options become workloads, predictions become files and text."""

from __future__ import annotations

import argparse
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
from benchmarks.harness.predict import predictions, text
from benchmarks.harness.predict.workload import Workload
from benchmarks.harness.run.folder import check_writable, run_folder
from benchmarks.studies import prediction_check
from frameworks import contract
from frameworks.contract import Device, Recipe
from results import schema, store
from results.schema import Prediction, RunInfo

DEFAULT_CHECKPOINT = "minilm"


def predict(options: argparse.Namespace, command: list[str]) -> Path:
    """Prints the predictions and stores them as a run; returns its folder.

    Errors: UserError for whatever is wrong with the options."""
    label_names = (tasks.find_task(options.task).label_names if options.task else ()) or ("0", "1")
    for name in options.gpu:
        gpu_types.gpu_type(name)
    device = choose_device("auto")
    check_writable(Path(options.results))
    found = predictions.predict(
        workloads(options),
        label_names,
        options.gpu or list(gpu_types.gpu_types()),
        options.budget,
        None if options.backend else _say,
    )
    if options.json:
        print(json.dumps([p.model_dump(mode="json") for p in found], indent=1))
    else:
        print("\n\n".join(text.text(p) for p in found))
    return store_predictions(Path(options.results), found, command, device)


def workloads(options: argparse.Namespace) -> list[Workload]:
    """One workload for each backend, device and length."""
    known = contract.backends()
    chosen = options.backend or list(known)
    for backend in chosen:
        if backend not in known:
            raise unknown("backend", backend, known)
    found = []
    for backend in chosen:
        missing = packages.missing_packages(backend)
        if missing and options.backend:
            raise UserError(f"--backend {backend}: {missing}")
        if missing:
            print(f"{backend} skipped: {missing}", file=sys.stderr)
            continue
        for length in dict.fromkeys(options.length or [None]):
            checkpoint, recipe = recipe_of(options, backend, length)
            found += [
                Workload(backend, checkpoint, device, options.phase, recipe)
                for device in devices_of(options, recipe)
            ]
    if not found:
        extra = known[chosen[0]].extra
        raise UserError(f"no backend is installed: pip install -e '.[{extra}]'")
    return found


def recipe_of(options: argparse.Namespace, backend: str, length: int | None) -> tuple[str, Recipe]:
    """The checkpoint and the recipe: those of a task in a profile, or the defaults."""
    overrides = parse_overrides(options.recipe)
    if length is not None:
        overrides |= {"length": length}
    try:
        if not options.task:
            if options.profile:
                raise UserError(
                    f"--profile {options.profile}: a profile has a recipe for each task: add --task NAME"
                )
            return options.checkpoint or DEFAULT_CHECKPOINT, Recipe(**overrides)
        profile = load_profile(options.profile or "quick")
        if options.task not in profile.tasks:
            raise unknown("task", options.task, profile.tasks)
        recipe = profile.recipe_for(backend, options.task, overrides)
        return options.checkpoint or profile.checkpoint, recipe
    except ValidationError as error:
        raise UserError(f"recipe: {explain(error, Recipe)}") from None


def devices_of(options: argparse.Namespace, recipe: Recipe) -> list[Device]:
    """The devices to predict for: both unless --gpu or --budget says otherwise, a CPU only in a
    precision that CPUs support."""
    cpu_too = contract.unsupported_precision("cpu", recipe.precision) is None and not options.gpu
    wanted: dict[Device, bool] = {
        "gpu": bool(options.gpu) or not options.budget,
        "cpu": bool(options.budget) or cpu_too,
    }
    return [device for device, asked in wanted.items() if asked]


def store_predictions(
    root: Path, found: Sequence[Prediction], command: list[str], device: schema.Device
) -> Path:
    """Writes the predictions into a new run's folder. Errors: UserError if that is impossible."""
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
    """Compares predictions with what the named runs measured; the path of the file with all cases.

    Errors: UserError for a name that is no run, or another option."""
    extra = [
        flag
        for flag, settings in PREDICT_OPTIONS
        if flag not in ("--check", "--results")
        and getattr(options, flag[2:])
        != settings.get("default", False if "action" in settings else None)
    ]
    if extra:
        raise UserError(
            f"--check predicts with the settings of its runs: leave out {', '.join(extra)}"
        )
    return prediction_check.check(
        [run_folder(Path(options.results), name) for name in options.check]
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
