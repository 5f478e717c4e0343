"""ftbench compare: what changed between two sets of runs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from results.report import Change, Figure

COMMIT = re.compile(r"[0-9a-f]{7,40}")


def compare(options: argparse.Namespace, command: list[str]) -> int:
    """Prints every change; 1 where one breaks a bound of --fail-on."""
    from benchmarks.harness.cli.report import backend_titles
    from benchmarks.harness.errors import UserError
    from results import report

    bounds = read_bounds(options.fail_on) if options.fail_on else {}
    found = changes_between(Path(options.results), options.before, options.after)
    if bounds and not found:
        raise UserError(
            f"--fail-on {options.fail_on}: {options.before} and {options.after} have no figure of the same "
            "task, recipe and backend: compare runs of the same profile"
        )
    titles = backend_titles()
    print(report.changes_text(found, titles))
    broken = [change for change in found if change.breaks(bounds)]
    for change in broken:
        print(f"--fail-on: {report.broken_text(change, titles)}", file=sys.stderr)
    return 1 if broken else 0


def changes_between(root: Path, before: str, after: str) -> list[Change]:
    """Errors: UserError for a side that names nothing, and for a run against a saved file."""
    from benchmarks.harness.errors import UserError
    from results import report

    files = [name.endswith(".json") for name in (before, after)]
    if all(files):
        return report.saved_changes(*(saved_benchmarks(name) for name in (before, after)))
    if any(files):
        raise UserError(
            f"{before if files[0] else after} is a file of pytest-benchmark and "
            f"{after if files[0] else before} is not: name two files, or two runs"
        )
    return report.changes_of(*(side(root, name) for name in (before, after)))


def saved_benchmarks(name: str) -> dict[str, Any]:
    from benchmarks.harness.errors import UserError

    try:
        saved = json.loads(Path(name).read_text("utf-8"))
        for one in saved["benchmarks"]:
            str(one["fullname"]), float(one["stats"]["median"])
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}): check the path") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{name}: not a file of pytest-benchmark: use one that --benchmark-save wrote"
        ) from None
    return dict(saved)


def side(root: Path, name: str) -> list[Path]:
    """The folders of a run, of a folder of runs (such as a machine's), or of a commit's runs."""
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.folder import run_folder
    from results import store

    folder = Path(name)
    inside = sorted(path.parent for path in folder.glob(f"*/{store.RUN_FILE}"))
    if inside and not (folder / store.RUN_FILE).exists():
        return inside
    if COMMIT.fullmatch(name) and not folder.exists():
        found = [run for run in store.runs(root) if _commit(run).startswith(name)]
        if not found:
            raise UserError(
                f"commit {name}: no run in {root / 'runs'} was measured with it: name a commit of these runs, or a run"
            )
        return found
    return [run_folder(root, name)]


def _commit(folder: Path) -> str:
    from results import store

    info, _, _ = store.read_run(folder)
    return (info.commit or "") if info else ""


def read_bounds(text: str) -> dict[Figure, float]:
    """'slower:5%,accuracy:1pt' as shares by figure. Errors: UserError for anything else."""
    from benchmarks.harness.errors import UserError
    from results.report import LIMITS

    bounds: dict[Figure, float] = {}
    for part in text.split(","):
        word, _, amount = part.strip().partition(":")
        unit = "pt" if word == "accuracy" else "%"
        number = re.fullmatch(rf"(\d+(?:\.\d+)?) ?{unit}", amount)
        if word not in LIMITS or not number or LIMITS[word] in bounds:
            raise UserError(
                f"--fail-on {part.strip()!r}: use slower:5%, memory:3% or accuracy:1pt, each once, "
                "separated by commas"
            )
        bounds[LIMITS[word]] = float(number[1]) / 100
    return bounds
