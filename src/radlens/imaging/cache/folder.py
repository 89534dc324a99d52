"""The pixel cache on disk: one folder for one set of images, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from radlens.base.errors import RadlensError
from radlens.base.files import publish, scratch, write_error
from radlens.imaging.cache.reader import Entry
from radlens.imaging.decode import FileFacts

Shape = tuple[int, int, int]

_PIXELS, _IMAGES = "pixels.npy", "images.json"
_FIELDS = tuple(field.name for field in fields(FileFacts))
_SPARE_BYTES = 2**20


class DamagedError(Exception):
    """A cache folder is not as it was written."""


@dataclass(frozen=True)
class PixelFolder:
    """A finished cache, memory-mapped.

    Attributes:
        pixels: uint8, shape (rows, channels, height, width), read-only; zeros where an image is rejected.
        row_of: the row of each image, by the digest of its file's content.
        entries: what is known of each row's image.
    """

    pixels: npt.NDArray[np.uint8]
    row_of: Mapping[str, int]
    entries: Sequence[Entry]

    @classmethod
    def open(cls, folder: Path, shape: Shape) -> PixelFolder | None:
        """Open a cache; None if there is none.

        Args:
            folder: where it is.
            shape: channels, height, width of its images.

        Raises:
            DamagedError: it is not whole.
            RadlensError: it cannot be read.
        """
        try:
            row_of, entries = _parse(json.loads((folder / _IMAGES).read_text(encoding="utf-8")))
            pixels = np.load(folder / _PIXELS, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, NotADirectoryError) as error:
            if not folder.is_dir():
                return None
            raise DamagedError(f"{Path(error.filename).name} is missing") from error
        except OSError as error:
            raise RadlensError(
                f"The pixel cache {folder} cannot be read: {error.strerror or error}. "
                "Mend its permissions, or set RADLENS_CACHE to another folder."
            ) from error
        except (ArithmeticError, AttributeError, EOFError, LookupError, SyntaxError, TypeError, ValueError) as error:
            raise DamagedError(str(error) or type(error).__name__) from error
        if pixels.dtype != np.uint8 or pixels.shape != (len(entries), *shape):
            raise DamagedError(f"{_PIXELS} holds {pixels.dtype} of shape {pixels.shape}")
        return cls(pixels, row_of, entries)


class PixelWriter:
    """Rows written as they come, in any order; the folder appears only when it is whole.

    Nothing is made before the first row. The file is written to and not mapped: a full disk then answers with an
    error and not with a bus error.
    """

    def __init__(self, shelf: Path, shape: Shape, images: int) -> None:
        """Prepare.

        Args:
            shelf: the folder to make the cache in.
            shape: channels, height, width of each image.
            images: how many rows there will be at most.
        """
        self._shelf, self._shape, self._images = shelf, shape, images
        self._start, self._bytes = len(_header(0, shape)), int(np.prod(shape))
        self._entries: dict[int, Entry] = {}
        self._open = ExitStack()
        self._begin: tuple[Path, io.FileIO] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def is_empty(self) -> bool:
        """Whether no row was written."""
        return not self._entries

    def put(self, row: int, entry: Entry, pixels: npt.NDArray[np.uint8] | None) -> None:
        """Write one image; ``pixels`` is None where it is rejected.

        Raises:
            RadlensError: the disk is full, has no room for all images to come, or failed.
        """
        self._entries[row] = entry
        try:
            _, file = self._begun()
            if pixels is not None:
                file.seek(self._start + row * self._bytes)
                _write(file, np.ascontiguousarray(pixels).data.cast("B"))
        except OSError as error:
            raise self._failed(error) from error

    def finish(self, digests: Sequence[str], folder: Path) -> None:
        """Write what is known of the images, see that all is on the disk, and give the folder its name.

        If another process wrote the same folder meanwhile, that one stands.

        Args:
            digests: of each row's content; empty for rows that nothing was written to.
            folder: the final name.

        Raises:
            RadlensError: the disk is full or failed.
        """
        try:
            temporary, file = self._begun()
            file.truncate(self._start + len(digests) * self._bytes)
            file.seek(0)
            _write(file, memoryview(_header(len(digests), self._shape)))
            os.fsync(file.fileno())
            file.close()
            with (temporary / _IMAGES).open("w", encoding="utf-8") as images:
                json.dump(_state(digests, [self._entries.get(row, "") for row in range(len(digests))]), images)
                images.flush()
                os.fsync(images.fileno())
            publish(temporary, folder)
        except OSError as error:
            raise self._failed(error) from error

    def _begun(self) -> tuple[Path, io.FileIO]:
        if self._begin is None:
            temporary = self._open.enter_context(scratch(self._shelf / "new"))
            self._require_space(self._images * self._bytes)
            self._begin = temporary, self._open.enter_context((temporary / _PIXELS).open("wb", buffering=0))
        return self._begin

    def _require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._shelf).free
        if free < needed + _SPARE_BYTES:
            raise RadlensError(
                f"No space left on the device: the pixel cache in {self._shelf} needs up to {needed / 2**20:,.0f} MiB "
                f"and {free / 2**20:,.0f} MiB are free. Free some space, or set RADLENS_CACHE to another folder."
            )

    def _failed(self, error: OSError) -> RadlensError:
        return RadlensError(f"{write_error(self._shelf, error)} Or set RADLENS_CACHE to another folder.")


def _write(file: io.FileIO, content: memoryview) -> None:
    while content:
        # A disk that is nearly full takes a part, and refuses the next.
        content = content[file.write(content) :]


def _header(rows: int, shape: Shape) -> bytes:
    """The beginning of an ``.npy`` file, of one length for any number of rows."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (rows, *shape)})
    return buffer.getvalue()


def _state(digests: Sequence[str], entries: Sequence[Entry]) -> dict[str, Any]:
    """By columns, which takes half the space of a record for each image, and a fraction of the time."""
    facts = {name: [None if isinstance(each, str) else getattr(each, name) for each in entries] for name in _FIELDS}
    rejected = {row: entry for row, entry in enumerate(entries) if isinstance(entry, str)}
    return {"digests": list(digests), "rejected": rejected, "facts": facts}


def _parse(state: Any) -> tuple[dict[str, int], list[Entry]]:
    digests, rejected = state["digests"], {int(row): str(reason) for row, reason in state["rejected"].items()}
    columns = [state["facts"][name] for name in _FIELDS]
    if any(len(column) != len(digests) for column in columns):
        raise ValueError(f"the columns of {_IMAGES} differ in length")
    entries: list[Entry] = [
        rejected[row] if row in rejected else FileFacts(*values)
        for row, values in enumerate(zip(*columns, strict=True))
    ]
    return {digest: row for row, digest in enumerate(digests) if digest}, entries
