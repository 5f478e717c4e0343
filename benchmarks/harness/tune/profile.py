"""The result of a tuning, written as a profile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness.plan.plan import Plan
from benchmarks.harness.run.folder import RunFolder
from results import store
from results.schema import Tuning


def write_tuning(folder: RunFolder, tuning: Tuning) -> Path:
    """Writes tuning.json and tuned.toml into the run's folder; returns the path of the latter."""
    store.write_record(folder.path / store.TUNING_FILE, tuning)
    path = folder.path / "tuned.toml"
    store.write_text(path, profile_text(tuning, folder.plan))
    return path


def profile_text(tuning: Tuning, plan: Plan) -> str:
    """The winner as a profile in TOML, with what each lever gained."""
    lines = [f"# {' '.join(line.split())}" for line in comments(tuning, plan)]
    lines += table(
        "",
        {
            "description": f"{tuning.backend} on {tuning.task}, tuned from {plan.profile}",
            "backends": [tuning.backend],
            "checkpoint": plan.checkpoint,
            "data": plan.data,
            "data_seed": plan.data_seed,
            "job_seconds": plan.job_seconds,
        },
    )
    lines += table("recipe", tuning.plain_recipe | tuning.tuned_fields)
    lines += table(f"environment.{tuning.backend}", tuning.tuned_environment)
    lines += ["", f"[tasks.{tuning.task}]"]  # also where it takes all examples there are
    lines += table("", plan.examples[tuning.task].model_dump(exclude_defaults=True))
    lines += table("accuracy", plan.accuracy.model_dump())
    lines += table("tuning", plan.tuning.model_dump())
    return "\n".join(lines) + "\n"


def comments(tuning: Tuning, plan: Plan) -> list[str]:
    found = [f"The fastest recipe found for {tuning.backend} on {tuning.task}, by:", plan.command]
    for step in tuning.steps:
        gain = step.reason if step.gain is None else f"{step.gain:.2f}x"
        found.append(f"{step.lever} against {step.against}: {gain}{' (kept)' if step.kept else ''}")
    found += [f"Dropped {one.levers}: {one.reason}" for one in tuning.dropped]
    return found


def table(name: str, values: Mapping[str, object]) -> list[str]:
    """A TOML table without the values that are None. JSON's strings, numbers, booleans and lists are
    valid TOML."""
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
        if value is not None
    ]
    return ["", f"[{name}]", *lines] if name and lines else lines
