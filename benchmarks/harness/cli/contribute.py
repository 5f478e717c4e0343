"""ftbench contribute: a run, checked and copied for a pull request."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

MACHINE = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
        print(
            f"{folder}: cannot be published: fix {_problems(len(found))} and try again",
            file=sys.stderr,
        )
        return 1
    if options.check:
        print(f"{folder}: can be published")
        return 0
    if not options.machine:
        raise UserError("--machine is missing: add --machine NAME, such as --machine a100-80gb")
    if not MACHINE.fullmatch(options.machine):
        raise UserError(
            f"--machine {options.machine!r}: use lower-case letters, digits and '-', such as a100-80gb"
        )
    if options.name and not RUN_NAME.fullmatch(options.name):
        raise UserError(f"--name {options.name!r}: use letters, digits, '.', '_' and '-'")
    target = Path(options.published) / options.machine / (options.name or folder.name)
    try:
        files = contribution.contribute(folder, target)
    except store.StoreError as error:
        raise UserError(f"{error}; choose another folder with --published or --name") from None
    print(f"{len(files)} files: {target}\nAdd this folder in a pull request.")
    return 0


def _problems(count: int) -> str:
    return "this problem" if count == 1 else f"these {count} problems"
