"""The parent's side of a worker process.

A job never runs in the process that asks for it: TensorFlow keeps the GPU memory it once took, a
failed allocation can leave a framework unusable, and on a CPU it can end the process outright.
Lines of JSON cross the pipes: events come from the worker, and the words 'go' and 'stop' are sent
to it. The worker has a session of its own, so that a Ctrl-C reaches only the parent, which then
ends the worker and all that it started; should the parent itself be killed, the kernel ends the
worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs.job import Job
from results import store
from results.schema import Status

Event = dict[str, Any]
STDERR_LINES = 12
CLOSING_SECONDS = 60.0


class WorkerEnded(Exception):
    """The worker gave no result: its status, one line of reason and its last stderr lines; and,
    where there is one, the exception with its whole message, or the code that it ended with."""

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
        self.text = text
        self.exit_code = exit_code  # negative: the signal that ended it


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
        """`folder` is the run's; `watch` is shown every event as it comes; `python` may be another
        environment's."""
        self.job, self._watch = job, watch
        self._deadline = time.monotonic() + job.time_limit_seconds
        self._buffer = b""
        self._log = folder / "logs" / f"{job.key.id}.txt"
        job_file = folder / "jobs" / f"{job.key.id}.json"
        try:
            for file in (self._log, job_file):
                file.parent.mkdir(exist_ok=True)
            store.write_record(job_file, job)
            stderr = self._log.open("wb")
        except (OSError, store.StoreError) as error:
            raise UserError(
                f"{error}; what was measured before is kept, and --resume goes on"
            ) from None
        with stderr:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.harness.worker", str(job_file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **job.environment},
                start_new_session=True,
                cwd=Path(__file__).parents[3],
            )
        self.alive.add(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def go(self) -> None:
        """Lets a worker that waits take its next window."""
        self._say(b"go")

    def stop(self) -> None:
        """Tells a worker that waits that no further window is wanted."""
        self._say(b"stop")

    def _say(self, word: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            if word == b"go":
                raise self._ended() from None

    def expect(self, kind: str) -> Event:
        """The next event of a kind; progress events on the way go to the watch.

        Errors: WorkerEnded when the worker ends, fails or passes its time limit first."""
        while True:
            event = self._next()
            self._watch(event)
            if event["event"] == "error":
                self.close()
                raise WorkerEnded(
                    event["status"], event["reason"], self.stderr_tail(), text=event.get("text")
                )
            if event["event"] == kind:
                return event

    def _next(self) -> Event:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = self._deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.kill()
                    limit = self.job.time_limit_seconds
                    raise WorkerEnded(
                        "timeout",
                        f"passed its time limit of {limit:.0f} s and was "
                        "ended; a profile's job_seconds sets it",
                        self.stderr_tail(),
                    )
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise self._ended()
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        event: Event = json.loads(line)
        return event

    def extend(self, seconds: float) -> None:
        """Time spent waiting for other workers' turns does not count against this one's limit."""
        self._deadline += seconds

    def _ended(self) -> WorkerEnded:
        """What an end without a result was."""
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            return WorkerEnded(
                "killed",
                f"the worker was ended by {name}"
                + (" (perhaps for want of memory)" if -code == 9 else ""),
                self.stderr_tail(),
                exit_code=code,
            )
        return WorkerEnded(
            "failed",
            f"the worker ended without a result, exit code {code}",
            self.stderr_tail(),
            exit_code=code,
        )

    def stderr_tail(self) -> list[str]:
        text = self._log.read_bytes()[-20_000:].decode("utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()][-STDERR_LINES:]

    def close(self) -> None:
        """Waits for a worker that has given its result, and ends one that lingers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it may be gone already
            self._process.stdin.close()
        try:
            self._process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.alive.discard(self.pid)
        self._process.stdout.close()

    def kill(self) -> None:
        """Ends the worker and all processes that it started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it may end between the two lines
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.alive.discard(self.pid)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.close()
        else:
            self.kill()
