"""ftbench export: all figures as one table."""

from __future__ import annotations

import argparse
from pathlib import Path


def export(options: argparse.Namespace, command: list[str]) -> int:
    """Writes the table into --out, by default `ftbench.FORMAT` in the working directory."""
    from benchmarks.harness.cli.report import chosen_runs
    from benchmarks.harness.errors import UserError
    from results import store
    from results.export import rows, write_table

    path = Path(options.out or f"ftbench.{options.format}")
    table = rows(chosen_runs(options))
    try:
        write_table(table, path, options.format)
    except store.StoreError as error:
        raise UserError(f"{error}; choose another file with --out") from None
    print(f"{len(table):,} row{'s' if len(table) != 1 else ''}: {path}")
    return 0
