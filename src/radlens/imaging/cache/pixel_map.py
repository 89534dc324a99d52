"""A file of preprocessed pixels that only grows: a head that names it, then one row after another."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radlens.imaging.cache.index import DamagedMapError, unreadable

HEAD_BYTES = 64

Pixels = npt.NDArray[np.uint8]


def open_map(path: Path, shape: tuple[int, int, int, int]) -> Pixels:
    """Map the complete rows of a file, and note that they are used.

    Raises:
        DamagedMapError: the file is missing, cut short, or another.
        RadlensError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(HEAD_BYTES) != _head(path) or size < HEAD_BYTES + int(np.prod(shape)):
                raise DamagedMapError("it was cut short, or is another file", path.name)
            with suppress(OSError):
                os.utime(path)
            # An empty file cannot be mapped.
            return np.memmap(file, np.uint8, "r", HEAD_BYTES, shape) if shape[0] else np.empty(shape, np.uint8)
    except FileNotFoundError as error:
        raise DamagedMapError("it is missing", path.name) from error
    except OSError as error:
        raise unreadable(path, error) from error


def append_rows(path: Path, rows: int, images: Iterable[Pixels], row_bytes: int) -> None:
    """Write images behind the complete rows of a map, down to the disk; 0 rows begin a new map.

    Raises:
        OSError: the disk is full or failed; the map is as it was before.
    """
    with path.open("r+b" if rows else "wb", buffering=0) as file:
        end = HEAD_BYTES + rows * row_bytes if rows else 0
        try:
            file.seek(end)
            if not rows:
                _write(file, memoryview(_head(path)))
            for pixels in images:
                _write(file, np.ascontiguousarray(pixels).data.cast("B"))
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(end) if rows else path.unlink()
            raise


def _write(file: io.FileIO, content: memoryview) -> None:
    while content:
        # A disk that is nearly full takes a part, and refuses the next.
        content = content[file.write(content) :]


def _head(path: Path) -> bytes:
    """The beginning of a map, which no other file has."""
    return f"radlens {path.stem}\n".encode().ljust(HEAD_BYTES)
