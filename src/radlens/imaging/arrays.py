"""Images inside the arrays of an ``.npz`` archive, as MedMNIST keeps them."""

from __future__ import annotations

import functools
import math
import os
import threading
import zipfile
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from radlens.imaging.limits import (
    DEFAULT_LIMITS,
    DamagedError,
    DecodeError,
    DecodeLimits,
    RefusedError,
    require_size,
    third_party,
    to_open,
)
from radlens.imaging.regular_file import open_regular

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_MAX_DIGITS = 18
# Types of images in arrays, whatever their byte order; those of more than 8 bits declare no depth.
ARRAY_KINDS = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")
# A compressed array can only be read whole: one thread does, and the others wait for it.
_LOADING = threading.Lock()


def is_array_location(location: str) -> bool:
    """Whether a location points into an array, as ``archive.npz::train_images/17`` does."""
    return "::" in location and location.partition("::")[0].endswith(".npz")


def read_array(location: str, limits: DecodeLimits = DEFAULT_LIMITS) -> npt.NDArray[Any]:
    """One image of an array: uint8, or wider or floating-point values; shape (height, width) or (height, width, 3).

    Raises:
        DecodeError: the archive, the array or the index does not exist, the array holds no images, or comes to more
            than ``limits.max_inflated`` bytes.
    """
    archive, _, member = location.partition("::")
    name, _, index = member.rpartition("/")
    with open_regular(archive, location) as file:
        state = os.fstat(file.fileno())
        try:
            if "ARRAY" not in limits.formats:
                raise RefusedError("images inside arrays are not opened (data.limits.formats)")
            if not (index.isascii() and index.isdecimal() and len(index) <= _MAX_DIGITS):
                raise RefusedError(f"no such image in the archive: {index[:40]!r} is not a position")
            with _LOADING:
                images = _load(_Archive(file, archive, state), name, limits)
            if int(index) >= len(images):
                raise RefusedError(f"no such image in the archive: the array has {len(images):,}")
            image = images[int(index)]
            require_size(image.shape[1], image.shape[0], image[:1, :1].nbytes, limits)
        except DamagedError as error:
            raise DecodeError(f"{location}: no such image in the archive ({error})") from error
        except RefusedError as error:
            raise DecodeError(f"{location}: {error}") from None
    return np.asarray(image)


class _Archive:
    """An open archive, the same as another if it is the same file, unmodified."""

    def __init__(self, file: BinaryIO, path: str, state: os.stat_result) -> None:
        self.file = file
        self._key = (path, state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Archive) and other._key == self._key


@functools.lru_cache(maxsize=4)
def _load(archive: _Archive, name: str, limits: DecodeLimits) -> npt.NDArray[Any]:
    """The image array of an archive, kept until the archive is modified."""
    with third_party():
        members = zipfile.ZipFile(archive.file)
    with members:
        try:
            member = members.getinfo(f"{name}.npy")
        except KeyError:
            known = ", ".join(info.filename.removesuffix(".npy") for info in members.infolist()[:20])
            raise RefusedError(f"no such image in the archive, which holds the arrays {known}") from None
        if member.file_size > limits.max_inflated:
            raise RefusedError(
                f"the array comes to {member.file_size:,} bytes; at most {limits.max_inflated:,} are inflated "
                f"({to_open('max_inflated', member.file_size)})"
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedError(f"no such image in the archive: compression {member.compress_type} is not read")
        with third_party():
            stream = members.open(member)
        with stream:
            shape, fortran_order, kind = _read_form(stream, name, member.file_size)
            wanted = math.prod(shape) * kind.itemsize
            with third_party():
                content = stream.read(wanted)
    if len(content) != wanted:
        raise RefusedError(f"no such image in the archive: the array {name} is cut short")
    images = np.frombuffer(content, dtype=kind).reshape(shape, order="F" if fortran_order else "C")
    return images.astype(kind.newbyteorder("="), copy=False)


def _read_form(stream: IO[bytes], name: str, size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape of an array of images, whether its first axis varies fastest, and its type, as its header says."""
    with third_party():
        version = np.lib.format.read_magic(stream)
    if version not in _READERS:
        raise RefusedError(f"no such image in the archive: array format {version} is not read")
    with third_party():
        shape, fortran_order, kind = _READERS[version](stream)
    if kind.name not in ARRAY_KINDS or not (len(shape) == 3 or (len(shape) == 4 and shape[-1] == 3)):
        raise RefusedError(
            f"no such image in the archive: array {name} has type {kind} and shape {shape}; images of "
            f"type {', '.join(ARRAY_KINDS)} and shape (number, height, width) or (number, height, width, 3) were "
            "expected"
        )
    if any(type(side) is not int or side < 0 for side in shape) or math.prod(shape) * kind.itemsize > size:
        raise RefusedError(f"no such image in the archive: shape {shape} in {size:,} bytes is damaged")
    return shape, fortran_order, kind
