"""Standard streams that never end the work: closed pipes, full devices, terminals that vanish, and
locales that cannot show a character."""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import os
import signal
import sys


class _Tolerant(io.RawIOBase):
    """Writes to a file descriptor. Once that fails, everything else is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._said = descriptor, False

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        try:
            return os.write(self._descriptor, view)
        except OSError as error:
            _discard(self._descriptor)
            quiet = self._said or error.errno in (errno.EPIPE, errno.EIO)
            self._said = True  # pytest may bring the descriptor back
            if self._descriptor == 1 and not quiet:
                print(f"ftbench: cannot write the output: {error.strerror}", file=sys.stderr)
            return len(view)

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True


def protect_streams() -> None:
    """Makes standard output and standard error tolerant, and opens those that are closed. Streams
    that a caller has replaced, as pytest does, stay as they are."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # else the next file that is opened would become this stream
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    atexit.unregister(_empty_streams)  # once, however often this is called
    atexit.register(_empty_streams)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _protected(1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _protected(2)


def keep_going_without_output() -> None:
    """Neither a closed pipe nor a terminal that vanishes ends the work."""
    protect_streams()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _discard(descriptor: int) -> None:
    """Whatever else is written to this descriptor is dropped."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def _empty_streams() -> None:
    """Text that a stream still holds and nobody can read any more is dropped: Python would flush it
    at its end, and exit with 120 where that fails. pytest brings back the streams that it found."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except OSError:
            _discard(stream.fileno())
            with contextlib.suppress(OSError):
                stream.flush()


def _protected(descriptor: int) -> io.TextIOWrapper:
    current = sys.stdout if descriptor == 1 else sys.stderr
    with contextlib.suppress(OSError, AttributeError):
        current.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Tolerant(descriptor)),
        encoding=getattr(current, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
