"""One tracker's process, as its parent sees it. Whatever the tracker does, the parent never waits for
it but at two places, and there not for long: until it is ready, and at the end."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from benchmarks.harness.machine.modules import module_command
from benchmarks.harness.trackers.lines import Answer, Line, write_line

MOST_LINES = 1000  # that wait for the tracker, a line per second of training or so
READY_SECONDS = 30.0  # its start and its login, before anything is timed
CLOSING_SECONDS = 60.0  # to write or send what it still has
PATIENCE_SECONDS = 3.0  # after which a line says what is waited for
LEAVING_SECONDS = 5.0  # from its last answer to the end of its process


class Tracker:
    """A tracker's process and the thread that feeds it. It has the environment and the working
    directory of the user, who configures it as usual."""

    def __init__(self, name: str, run: Path, command: Sequence[str] | None = None) -> None:
        """`run` is the run's folder. `command` replaces the tracker's own."""
        self.name = name
        self.trainings = 0  # that it was sent
        self.problem: str | None = None  # why it failed; nothing is sent to it any more
        self._lines: queue.Queue[Line | None] = queue.Queue(MOST_LINES)
        self._log = run / "logs" / f"tracker-{name}.txt"
        command = command or module_command("benchmarks.harness.trackers", name, str(run))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._log.parent.mkdir(exist_ok=True)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,  # or `select` would not see lines that wait in a buffer
                    start_new_session=True,  # Ctrl-C is the parent's
                )
        except OSError as error:
            self.problem = f"it could not be started: {error}"
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        self._answers = self._process.stdout
        threading.Thread(target=self._feed, args=(self._process.stdin,), daemon=True).start()

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """So that its start disturbs no measurement. One that is not ready in time stays in use."""
        self._listen(time.monotonic() + seconds)

    def send(self, line: Line) -> None:
        """Never waits."""
        self._listen(time.monotonic())
        if self.problem:
            return
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._fail(f"it does not keep up: {MOST_LINES} lines wait for it")

    def close(self, say: Callable[[str], None], seconds: float = CLOSING_SECONDS) -> None:
        """Lets it write what it still has, and ends it. `say` prints that this takes long."""
        with contextlib.suppress(queue.Full):  # then it is ended in a moment
            self._lines.put_nowait(None)
        began = time.monotonic()
        if not self._is_done(began + min(seconds, PATIENCE_SECONDS)):
            say(f"waiting for {self.name}, at most {seconds:.0f} s")
            if not self._is_done(began + seconds):
                self._fail(f"it did not end within {seconds:.0f} s and was ended")
        self.kill(LEAVING_SECONDS)

    def _is_done(self, deadline: float) -> bool:
        """Waits until everything is written, or the tracker failed; whether that was in time."""
        while self.problem is None:
            answer = self._listen(deadline)
            if answer and answer.state == "done":
                return True
            if answer is None and self.problem is None:
                return False
        return True

    def kill(self, seconds: float = 0.0) -> None:
        """Ends it and all processes that it started, if it does not end by itself within `seconds`."""
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _feed(self, pipe: IO[bytes]) -> None:
        with (
            contextlib.suppress(OSError),  # it is gone: `_listen` finds out why
            pipe,
            open(pipe.fileno(), "wb", closefd=False) as buffered,
        ):
            while (line := self._lines.get()) is not None:
                buffered.write(write_line(line).encode())
                buffered.flush()

    def _listen(self, deadline: float) -> Answer | None:
        """The next answer, if there is one before the deadline. One that says that the tracker failed,
        or that its process ended, is its problem from then on."""
        if self.problem:
            return None
        wait = max(0.0, deadline - time.monotonic())
        if not select.select([self._answers], [], [], wait)[0]:
            return None
        line = self._answers.readline()
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError:
            self._fail(self._last_words())
            return None
        if answer.state == "failed":
            self._fail(answer.reason)
        return answer

    def _last_words(self) -> str:
        """The last line that it wrote to standard error before it ended without an answer."""
        with contextlib.suppress(OSError):
            text = self._log.read_bytes()[-5000:].decode("utf-8", errors="replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return f"it ended: {lines[-1][:300]}"
        return "it ended without a message"

    def _fail(self, reason: str) -> None:
        self.problem = reason
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)  # ends the thread
        self.kill()
