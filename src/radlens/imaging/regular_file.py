"""Regular files alone are opened: a pipe or a device is refused before it can be waited for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from radlens.imaging.limits import DecodeError, RefusedError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def open_regular(path: str, location: str = "") -> Iterator[BinaryIO]:
    """Open a regular file for reading; never waits for a pipe or a device.

    Args:
        path: the file.
        location: what errors name, if it is more than the file.

    Raises:
        DecodeError: there is no such file, it may not be read, or it is not a regular file.
    """
    try:
        descriptor = _opened(path)
        with os.fdopen(descriptor, "rb") as file:
            _require_regular(os.fstat(descriptor))
            yield file
    except RefusedError as error:
        raise DecodeError(f"{location or path}: {error}") from None
    except OSError as error:
        raise DecodeError(f"{location or path}: the file cannot be read ({error.strerror or error})") from error


def _opened(path: str) -> int:
    """The descriptor of a file that was regular when it was looked at."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        state = Path(path).stat()
    except ValueError as error:
        raise RefusedError(f"the file cannot be read ({error})") from error
    # Looked at before it is opened too, since opening alone makes some devices act.
    _require_regular(state)
    return os.open(path, flags)


def _require_regular(state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        kind = next((name for test, name in _KINDS if test(state.st_mode)), "something else")
        raise RefusedError(f"the path is {kind}; a file was expected")
