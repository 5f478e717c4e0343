"""The worker's side of the pipe to its parent: events out, 'go' in.

Frameworks print to standard output as they like; so the pipe is moved to a descriptor of its own
first, and descriptor 1 becomes standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any


class Pipe:
    """To the parent: events out, 'go' in."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._stopped = False

    def send(self, event: str, **fields: Any) -> None:
        self._out.write(json.dumps({"event": event, **fields}) + "\n")
        self._out.flush()

    def wait_for_go(self) -> bool:
        """True: take the next window; False: no further one is wanted, now or later."""
        if not self._stopped:
            word = sys.stdin.readline().strip()
            if word not in ("go", "stop"):
                raise SystemExit("the parent closed the pipe")
            self._stopped = word == "stop"
        return not self._stopped


PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """Asks the kernel to end this process when its parent ends, however that happens."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent ended while the worker started")
