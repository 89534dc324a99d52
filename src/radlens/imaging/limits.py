"""What the decoders may open, how much memory one file may take, and how they refuse."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from radlens.base.errors import DataError

Format = Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP", "DICOM", "ARRAY"]

# The longest side that JPEG can hold; nothing that radiology stores in one picture comes near it.
MAX_SIDE = 65_535

# What a third party's decoder lets through when the bytes are not what they claim to be.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    Image.DecompressionBombError,
)


class DecodeError(DataError):
    """The file holds no image that may be opened; the message says why."""


class RefusedError(ValueError):
    """Why some bytes are not opened; becomes a :class:`DecodeError` where the location is known."""


class DamagedError(RefusedError):
    """What a decoder says of damaged bytes."""


@contextmanager
def third_party() -> Iterator[None]:
    """Around the calls of a third party's decoder, and nothing else: so that a bug of our own is not taken for damage.

    Raises:
        DamagedError: the decoder failed in any way.

    >>> with third_party():
    ...     {}["tile"]
    Traceback (most recent call last):
    radlens.imaging.limits.DamagedError: 'tile'
    """
    try:
        yield
    except _DAMAGE as error:
        raise DamagedError(str(error) or type(error).__name__) from error


class DecodeLimits(BaseModel):
    """Bounds on one image, checked before memory is spent on it, and what is not opened for its faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    formats: tuple[Format, ...] = Field(
        default=get_args(Format),
        min_length=1,
        description="Formats that are opened, told by content and never by file name.",
    )
    max_bytes: int = Field(default=256 * 2**20, ge=1, description="Largest file, in bytes.")
    max_pixels: int = Field(
        default=100_000_000, ge=1, description="Most pixels, width times height. No side may exceed 65,535."
    )
    max_inflated: int = Field(
        default=1024 * 2**20, ge=1, description="Most bytes that a file's compressed data may come to."
    )
    unusable_elements: Literal["refuse", "pass_over"] = Field(
        default="refuse",
        description="What becomes of a DICOM image in whose header an element that gives the stored values their "
        "meaning cannot be used (Rescale Slope, Rescale Intercept, Modality LUT, Pixel Representation, Planar "
        "Configuration). refuse; pass_over: the image is shown as if the element were missing, with a remark. Display "
        "hints, such as windows, are always passed over where they cannot be used.",
    )


DEFAULT_LIMITS = DecodeLimits()


def to_open(limit: str, needed: int) -> str:
    """What to set for a file that exceeds a limit, in words; every command that opens files takes it.

    >>> to_open("max_pixels", 101_000_000)
    'to open it: --set data.limits.max_pixels=101000000'
    """
    return f"to open it: --set data.limits.{limit}={needed}"


def require_size(width: int, height: int, bytes_per_pixel: float, limits: DecodeLimits) -> None:
    """Check the declared size of a picture before memory is spent on it.

    Raises:
        RefusedError: there are no pixels, or too many, or they come to too many bytes.
    """
    size = f"{width:,} x {height:,} pixels"
    if width < 1 or height < 1:
        raise RefusedError(f"the picture is said to have {size}")
    if max(width, height) > MAX_SIDE:
        raise RefusedError(f"{size}; at most {MAX_SIDE:,} on a side are opened")
    if width * height > limits.max_pixels:
        remedy = to_open("max_pixels", width * height)
        raise RefusedError(f"{size}; at most {limits.max_pixels:,} are opened ({remedy})")
    inflated = int(width * height * bytes_per_pixel)
    if inflated > limits.max_inflated:
        raise RefusedError(
            f"{size} come to {inflated:,} bytes; at most {limits.max_inflated:,} are inflated "
            f"({to_open('max_inflated', inflated)})"
        )


def require_data(width: int, height: int, needed: float, size: int) -> None:
    """Check that a picture of this size can be in so few bytes, before memory is spent on one that is cut short.

    Raises:
        RefusedError: fewer bytes are there than are needed at least.
    """
    if needed > size:
        raise RefusedError(f"{width:,} x {height:,} pixels in {size:,} bytes: the picture is cut short")
