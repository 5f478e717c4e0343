"""The worker's end of the pipe: it sends events to its parent and waits for commands.

Frameworks print to standard output as they like. So the pipe is moved to a descriptor of its own
first, and descriptor 1 becomes standard error.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from benchmarks.harness.jobs.events import COMMANDS, Command, Event, write_event


class Pipe:
    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._last: Command = "go"
        self.window_steps: int | None = None  # of the window that the last 'go' asked for

    def send(self, event: Event) -> None:
        self._out.write(write_event(event) + "\n")
        self._out.flush()

    def wait_for_command(self) -> Command:
        """The parent's next command; after 'stop' it is 'stop' for ever.

        Errors: SystemExit where the parent closed the pipe."""
        if self._last != "stop":
            word, _, steps = sys.stdin.readline().strip().partition(" ")
            self.window_steps = int(steps) if steps else None
            if word not in COMMANDS:
                raise SystemExit("the parent closed the pipe")
            self._last = COMMANDS[word]
        return self._last


PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """Asks the kernel to end this process when its parent ends, however that happens."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent ended while the worker started")
