"""The folder of a run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.errors import UserError, unknown
from results import store

# What a resumed run does not do again. What failed, was killed or hung is tried once more.
SETTLED = {"ok", "unsupported", "not_installed", "refused"}


def run_folder(root: Path, name: str) -> Path:
    """Of a run below `root`, or of a run's folder anywhere. Errors: UserError for neither."""
    known = {path.name: path for path in store.runs(root)}
    if name in known:
        return known[name]
    if (Path(name) / store.RUN_FILE).is_file():
        return Path(name)
    if not known:
        raise UserError(
            f"{name}: no run's folder, it has no {store.RUN_FILE}; and there is no run "
            f"in {root / 'runs'}"
        )
    raise unknown("run", name, known)
