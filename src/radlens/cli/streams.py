"""Standard output and error that fail: a full disk, a closed pipe, no stream at all, letters that cannot be written."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from radlens.base.errors import RadlensError

# Windows tells a pipe that nobody reads by EINVAL.
_CLOSED_PIPE = {errno.EPIPE, errno.EINVAL} if os.name == "nt" else {errno.EPIPE}


class OutputError(RadlensError):
    """Standard output takes no more; the files that were written are whole."""


class ClosedPipeError(OutputError):
    """Who read the output stopped reading, as ``head`` does: nothing to complain of."""

    # What a shell reports of a program that SIGPIPE ended (128 + 13).
    exit_code = 141


class _Stream:
    """A standard stream that tells of its failures in a way of its own.

    It has no ``buffer``: what is printed passes through here.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Pass on what is held back."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:  # noqa: ARG002
        """Let what is still held back, and all that follows, go nowhere: at the end Python flushes once more."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


class Messages(_Stream):
    """Standard error, which must not stop the work: when it takes no more, messages are dropped."""


class Output(_Stream):
    """Standard output.

    Attributes:
        failure: the error of the first text that could not be written. It is raised at once, and once more at the end,
            if whoever printed swallowed it.
    """

    failure: OutputError | None = None

    def end(self) -> None:
        """Pass on what is held back; raises the failure that nobody was told of."""
        self.flush()
        if self.failure is not None:
            raise self.failure

    def _fail(self, error: OSError) -> None:
        super()._fail(error)
        if error.errno in _CLOSED_PIPE:
            self.failure = ClosedPipeError("Nobody reads standard output any more.")
        else:
            self.failure = OutputError(
                f"Standard output cannot be written to: {error.strerror or error}. What was to be printed is lost; "
                "files written before are whole. Send it to a place that takes it, such as > FILE on a disk with space."
            )
        raise self.failure from error


@contextmanager
def standard_streams() -> Iterator[Output]:
    """Watch standard output and error, and put them back at the end; gives the output."""
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = before[0] or _opened(0, os.O_RDONLY, "r")
    # For reading alone: whatever is written there fails, as on a closed stream.
    output = Output(_any_letter(before[1] or _opened(1, os.O_RDONLY, "w")))
    sys.stdout = cast(TextIO, output)
    sys.stderr = cast(TextIO, Messages(before[2] or _opened(2, os.O_WRONLY, "w")))
    try:
        yield output
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _opened(number: int, flags: int, mode: str) -> TextIO:
    """A stream for a number that was closed before the start: else the next file to be opened would get that number.

    Anything that prints by number, such as a library in C, would then write into that file.
    """
    try:
        os.fstat(number)
    except OSError:
        descriptor = os.open(os.devnull, flags)
        if descriptor != number:
            os.dup2(descriptor, number)
            os.close(descriptor)
        return cast(TextIO, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    return cast(TextIO, Path(os.devnull).open(mode, encoding="utf-8"))


def _any_letter(stream: TextIO) -> TextIO:
    """The stream, made to write letters that its encoding lacks as escapes, and file names of any bytes as they are."""
    if isinstance(stream, io.TextIOWrapper):
        is_utf8 = stream.encoding.lower().replace("-", "").replace("_", "") == "utf8"
        stream.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")
    return stream


def write_same_bytes() -> None:
    """Let standard output write the same bytes on every system: UTF-8, and lines that end in a line feed alone."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
