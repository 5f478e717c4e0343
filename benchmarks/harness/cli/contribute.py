"""ftbench contribute: a run, checked and copied for a pull request."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path


def contribute(options: argparse.Namespace, command: list[str]) -> int:
    """Checks the run and writes its folder; 1 where something keeps it from being published."""
    from benchmarks.harness.errors import UserError
    from benchmarks.harness.run.folder import run_folder
    from results import contribution, store

    folder = run_folder(Path(options.results), options.run)
    found = contribution.problems(folder, named=contribution.private_names())
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print(f"{folder}: not published: {len(found)} problems", file=sys.stderr)
        return 1
    if options.check:
        print(f"{folder}: can be published")
        return 0
    if not options.machine or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", options.machine):
        raise UserError(
            f"--machine {options.machine!r}: name the machine in lower case, such as "
            "a100-80gb or ryzen-7950x"
        )
    target = Path(options.published) / options.machine / (options.name or folder.name)
    try:
        files = contribution.contribute(folder, target)
    except store.StoreError as error:
        raise UserError(str(error)) from None
    print(f"{len(files)} files: {target}\nAdd this folder in a pull request.")
    return 0
