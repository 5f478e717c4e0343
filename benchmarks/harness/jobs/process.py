"""The parent's end of a worker process.

A job never runs in the process that asks for it: TensorFlow keeps the GPU memory that it once took,
a failed allocation can leave a framework unusable, and on a CPU it can end the process outright.
Events come from the worker as lines of JSON; commands, one word each, are sent to it. The worker
has a session of its own, so a Ctrl-C reaches only the parent, which then ends the worker and all
that it started. If the parent itself is killed, the kernel ends the worker.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, ClassVar, TypeVar

from pydantic import ValidationError

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.environment import process_environment
from benchmarks.harness.jobs.events import Command, Event, WorkerFailed, read_event
from benchmarks.harness.jobs.job import Job
from benchmarks.harness.machine.modules import module_command
from results import store
from results.schema import Status

EventKind = TypeVar("EventKind", bound=Event)
STDERR_LINES = 12
CLOSING_SECONDS = 60.0
ROOT = Path(__file__).parents[3]  # where `benchmarks` can be imported


class WorkerEnded(Exception):
    """The worker gave no result: its status, one line of reason and its last lines on stderr.
    `text` is the exception with its whole message, where there was one; `exit_code` is the code
    that the process ended with, or the negative number of the signal that ended it."""

    def __init__(
        self,
        status: Status,
        reason: str,
        stderr_tail: list[str],
        *,
        text: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.stderr_tail = status, reason, stderr_tail
        self.text, self.exit_code = text, exit_code


class WorkerProcess:
    """One worker; a context manager that leaves no process behind."""

    alive: ClassVar[set[int]] = set()  # process ids of this process's workers

    def __init__(
        self,
        job: Job,
        folder: Path,
        watch: Callable[[Event], None],
        python: Path = Path(sys.executable),
    ) -> None:
        """`folder` is the run's. `watch` is shown every event as it comes. `python` may be another
        environment's.

        Errors: UserError where the job's files cannot be written."""
        self.job, self._watch = job, watch
        self._log = folder / "logs" / f"{job.key.id}.txt"
        job_file = folder / "jobs" / f"{job.key.id}.json"
        try:
            for file in (self._log, job_file):
                file.parent.mkdir(exist_ok=True)
            store.write_record(job_file, job)
            stderr = self._log.open("wb")
        except (OSError, store.StoreError) as error:
            raise UserError(
                f"{error}; finished measurements are kept: continue with --resume {folder.name}"
            ) from None
        with stderr:
            self._process = subprocess.Popen(
                module_command("benchmarks.harness.worker", str(job_file), python=python),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=process_environment(job.environment),
                start_new_session=True,
                cwd=ROOT,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._commands: IO[bytes] = self._process.stdin
        self._lines = _Lines(self._process.stdout, job.time_limit_seconds)
        self.pid = self._process.pid
        self.alive.add(self.pid)

    def go(self, window_steps: int | None = None) -> None:
        """Lets a worker that waits take its next window, of so many steps; None: as its job says.

        Errors: WorkerEnded where the worker is gone."""
        self.send("go", window_steps)

    def send(self, command: Command, window_steps: int | None = None) -> None:
        """Sends a command to a worker that waits. A 'stop' to one that is gone is ignored.

        Errors: WorkerEnded where the worker is gone."""
        try:
            line = command if window_steps is None else f"{command} {window_steps}"
            self._commands.write(line.encode() + b"\n")
            self._commands.flush()
        except BrokenPipeError:
            if command != "stop":
                raise self._ended() from None

    def expect(self, kind: type[EventKind], but_not: type[Event] | None = None) -> EventKind:
        """The next event of a kind; the watch is shown all events on the way.

        Errors: WorkerEnded when the worker ends, fails or passes its time limit first, or sends an
        event of the kind `but_not`, after which the awaited one cannot come."""
        while True:
            event = self._next()
            self._watch(event)
            if isinstance(event, WorkerFailed):
                self.close()
                raise WorkerEnded(event.status, event.reason, self.stderr_tail(), text=event.text)
            if isinstance(event, kind):
                return event
            if but_not is not None and isinstance(event, but_not):
                self.kill()
                raise WorkerEnded(
                    "failed",
                    f"the worker sent the event {event.event!r} instead of {kind.__name__}",
                    self.stderr_tail(),
                )

    def _next(self) -> Event:
        try:
            line = self._lines.read()
        except TimeoutError:
            self.kill()
            raise WorkerEnded(
                "timeout",
                f"passed its time limit of {self.job.time_limit_seconds:.0f} s and was ended; set "
                "job_seconds in the profile to allow more",
                self.stderr_tail(),
            ) from None
        if not line:
            raise self._ended()
        try:
            return read_event(line)
        except ValidationError:
            self.kill()
            shown = line[:80].decode(errors="replace")
            raise WorkerEnded(
                "failed", f"the worker wrote a line that is no event: {shown!r}", self.stderr_tail()
            ) from None

    def extend(self, seconds: float) -> None:
        """Adds to the time limit: waiting for other workers' turns does not count against it."""
        self._lines.deadline += seconds

    def _ended(self) -> WorkerEnded:
        """The outcome of a worker that ended without a result."""
        code = self._process.wait()
        self.alive.discard(self.pid)
        if code >= 0:
            status: Status = "failed"
            reason = f"the worker ended without a result, exit code {code}"
        else:
            status, reason = "killed", f"the worker was ended by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                reason += " (perhaps the system ran out of memory)"
        return WorkerEnded(status, reason, self.stderr_tail(), exit_code=code)

    def stderr_tail(self) -> list[str]:
        """The last lines that the worker wrote to standard error, without empty ones."""
        text = self._log.read_bytes()[-20_000:].decode("utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()][-STDERR_LINES:]

    def close(self) -> None:
        """Waits for a worker that has given its result, and ends one that lingers."""
        with contextlib.suppress(BrokenPipeError):  # it may be gone already
            self._commands.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends the worker and all processes that it started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it may end between the two lines
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.alive.discard(self.pid)
        with contextlib.suppress(OSError):
            self._commands.close()
        self._lines.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.close()
        else:
            self.kill()


class _Lines:
    """Lines from a pipe, until a deadline."""

    def __init__(self, pipe: IO[bytes], seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._pipe, self._buffer = pipe, b""

    def read(self) -> bytes:
        """The next line; empty at the pipe's end. Errors: TimeoutError at the deadline."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = self.deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise TimeoutError
                chunk = os.read(self._pipe.fileno(), 1 << 16)
                if not chunk:
                    return b""
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def close(self) -> None:
        self._pipe.close()
