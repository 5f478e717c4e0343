"""A tracker's process: writes what its parent sends with the tracker's own client.

python -m benchmarks.harness.trackers TRACKER RUN_FOLDER
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import IO

from benchmarks.harness.errors import first_line, printable
from benchmarks.harness.trackers.clients import CLIENTS, Client
from benchmarks.harness.trackers.lines import Answer, Begin, Points, read_line, write_line

NICENESS = 10  # the measurements come first
HIDDEN = ("tensorflow", "torch")  # clients that find a framework import it, for nothing


def feed(client: Client, lines: IO[str]) -> None:
    """Passes on every line. A run that is still open when the parent is gone has failed."""
    is_open = False
    for text in lines:
        line = read_line(text)
        if isinstance(line, Begin):
            client.begin(line.name, line.config)
            is_open = True
        elif isinstance(line, Points):
            client.log(line.points)
        else:
            client.end(line.failed, line.summary)
            is_open = False
    if is_open:
        client.end(True, {})


def main() -> int:
    os.nice(NICENESS)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a client prints is for the log

    def answer(found: Answer) -> None:
        answers.write(write_line(found))
        answers.flush()

    for name in HIDDEN:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        client = CLIENTS[sys.argv[1]](Path(sys.argv[2]))
        answer(Answer(state="ready"))
        feed(client, sys.stdin)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it in one line
        traceback.print_exc()
        reason = printable(f"{type(error).__name__}: {first_line(error)}")
        answer(Answer(state="failed", reason=reason))
        return 1
    answer(Answer(state="done"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
