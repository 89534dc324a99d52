"""From a file, or one image of an array, to a display-ready 8-bit picture, with limits on what is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.arrays import is_array_location, read_array
from radlens.imaging.content import format_of, read_file, require_bytes
from radlens.imaging.depth import Depth, ValueRange, range_of
from radlens.imaging.display import Box, black_and_white, displayed, upright
from radlens.imaging.formats.bmp import read_bmp
from radlens.imaging.formats.jpeg import read_jpeg
from radlens.imaging.formats.png import read_png
from radlens.imaging.formats.stored import Reduction, Stored
from radlens.imaging.formats.tiff import read_tiff
from radlens.imaging.formats.webp import read_webp
from radlens.imaging.limits import DEFAULT_LIMITS, DamagedError, DecodeError, DecodeLimits, Format, RefusedError

__all__ = [
    "DecodeError",
    "Decoded",
    "FileFacts",
    "decode",
    "is_array_location",
    "read_array",
    "read_bytes",
]

# Mean and deviation of more pixels than these are no better known, and cost as much as a resizing.
_BRIGHTNESS_PIXELS = 2**16
_READERS: dict[Format, Callable[[bytes, DecodeLimits], Stored]] = {
    "PNG": read_png,
    "TIFF": read_tiff,
    "BMP": read_bmp,
    "WEBP": read_webp,
}


@dataclass(frozen=True)
class FileFacts:
    """What is known of an image file apart from its anatomy.

    Attributes:
        width: of the stored image, in pixels.
        height: of the stored image, in pixels.
        mode: Pillow's name of the pixel form (``L``, ``RGB``, ``I;16``), or DICOM's photometric interpretation.
        format: JPEG, PNG, …, DICOM or ARRAY.
        bytes: size of the file, or of the image within its array.
        mean: mean of the grey picture, 0 to 255; of a large one, of evenly spaced rows.
        std: standard deviation of the same, 0 to 255.
        compression: ``baseline``, ``progressive``, ``deflate``, ``LZW``, …, or the name of the DICOM transfer syntax;
            empty where it is unknown.
        remarks: what is wrong with a DICOM header and did not keep the picture from being shown; what comes before a
            colon names the kind of fault.
        undeclared: NumPy's name of the type of the values, where they have more than 8 bits and the file does not
            declare how many of them are in use; else empty.
        low: of such values the lowest but for outliers (:func:`radlens.imaging.depth.range_of`).
        high: of such values the highest but for outliers.
        clipped: share of the values of more than 8 bits that are brighter than what was shown white.
    """

    width: int
    height: int
    mode: str
    format: str
    bytes: int
    mean: float = float("nan")
    std: float = float("nan")
    compression: str = ""
    remarks: tuple[str, ...] = ()
    undeclared: str = ""
    low: float = 0.0
    high: float = 0.0
    clipped: float = 0.0

    @property
    def values(self) -> ValueRange | None:
        """How far values reach whose depth the file does not declare."""
        return ValueRange(self.undeclared, self.low, self.high) if self.undeclared else None


@dataclass(frozen=True)
class Decoded:
    """A display-ready picture and what is known of its file.

    Attributes:
        image: mode ``L`` or ``RGB``, 8 bits, upright, 0 black to 255 white.
        facts: what is known of the file.
        box: the part of ``image`` that the stored picture covers: left, upper, right, lower. It ends within the last
            column or row where a reduced scale left a part of a pixel over.
    """

    image: Image.Image
    facts: FileFacts
    box: Box


def read_bytes(location: str, limits: DecodeLimits = DEFAULT_LIMITS) -> bytes:
    """The content of a file, or of one image of an array; what the pixel cache is keyed by.

    Only regular files are read; nothing waits for a pipe or a device.

    Raises:
        DecodeError: the file cannot be read, is empty, exceeds ``limits.max_bytes``, or changes while it is read.
    """
    if is_array_location(location):
        pixels = read_array(location, limits)
        # The same bytes in another shape are another image.
        kind = "" if pixels.dtype == np.uint8 else pixels.dtype.name
        return f"{pixels.shape!r}{kind}".encode() + pixels.tobytes()
    return read_file(location, limits)


def decode(
    location: str,
    content: bytes | None = None,
    target: tuple[int, int] | Reduction | None = None,
    limits: DecodeLimits = DEFAULT_LIMITS,
    *,
    grey: bool = False,
    depth: Depth = "significant",
) -> Decoded:
    """Decode one image into a display-ready picture.

    What comes out has 8 bits, 0 black and 255 white, upright as the camera's orientation says, with transparency on
    black (:func:`radlens.imaging.display.displayed`). Bone is bright wherever the file tells its polarity: DICOM
    MONOCHROME1 and TIFF ``WhiteIsZero`` are inverted; a picture of a negative in another format stays one. Colour
    profiles and gamma are not applied: the stored values count. Of a TIFF the first picture is read; animations
    are refused.

    Args:
        location: file path, or ``archive.npz::array/index``. The format is told by content, never by the name.
        content: the file's bytes, if they were read already.
        target: width and height that the upright image will be reduced to, or a function from its size to them; a
            JPEG is then decoded at a reduced scale, as small as loses nothing of what such a reduction keeps.
        limits: bounds on the file, checked before memory is spent.
        grey: only the brightness is wanted, which a JPEG gives without its colours.
        depth: how values of more than 8 bits are scaled; see :func:`radlens.imaging.display.displayed`.

    Raises:
        DecodeError: the bytes are not an image of an allowed format, are damaged or cut short, or exceed the limits.
    """
    if is_array_location(location):
        return decode_values(read_array(location, limits), location, depth)
    content = read_file(location, limits) if content is None else content
    try:
        require_bytes(len(content), limits)
        form = format_of(content, limits)
        if form == "DICOM":
            return _decode_dicom(location, content, limits, depth)
        stored = _read_jpeg(content, limits, target, grey) if form == "JPEG" else _READERS[form](content, limits)
        image = displayed(stored, depth)
        box = (0.0, 0.0, stored.width / stored.scale, stored.height / stored.scale)
        image, box = upright(image, stored.orientation, box)
    except DamagedError as error:
        raise DecodeError(f"{location}: the image is damaged ({error})") from error
    except RefusedError as error:
        raise DecodeError(f"{location}: {error}") from None
    except MemoryError as error:
        raise DecodeError(f"{location}: there is not enough memory to decode the image") from error
    facts = FileFacts(stored.width, stored.height, stored.mode, form, len(content), compression=stored.compression)
    return Decoded(image, _with_brightness(_with_values(facts, stored, depth), image), box)


def decode_values(pixels: npt.NDArray[Any], location: str, depth: Depth = "significant") -> Decoded:
    """What :func:`decode` makes of the values of an array: uint8, wider, or floating-point.

    Args:
        pixels: shape (height, width) or (height, width, 3).
        location: named in errors.
        depth: as for :func:`decode`.

    Raises:
        DecodeError: a value is not a finite number.
    """
    height, width = pixels.shape[:2]
    values = Image.fromarray(np.ascontiguousarray(pixels)) if pixels.dtype == np.uint8 else pixels
    mode = values.mode if isinstance(values, Image.Image) else f"{'L' if pixels.ndim == 2 else 'RGB'};{pixels.dtype}"
    stored = Stored(values, width, height, mode, "")
    try:
        image = displayed(stored, depth)
    except RefusedError as error:
        raise DecodeError(f"{location}: {error}") from None
    facts = _with_values(FileFacts(width, height, mode, "ARRAY", pixels.nbytes), stored, depth)
    return Decoded(image, _with_brightness(facts, image), (0.0, 0.0, width, height))


def _with_values(facts: FileFacts, stored: Stored, depth: Depth) -> FileFacts:
    """The facts, with how far values of more than 8 bits reach."""
    if isinstance(stored.pixels, Image.Image):
        return facts
    has_alpha = stored.pixels.ndim == 3 and stored.pixels.shape[2] in (2, 4)
    values: npt.NDArray[Any] = stored.pixels[..., :-1] if has_alpha else stored.pixels
    facts = replace(facts, clipped=float((values > black_and_white(stored, values, depth)[1]).mean()))
    if stored.declared:
        return facts
    kind, low, high = range_of(values)
    return replace(facts, undeclared=kind, low=low, high=high)


def _read_jpeg(content: bytes, limits: DecodeLimits, target: tuple[int, int] | Reduction | None, grey: bool) -> Stored:
    if isinstance(target, tuple):
        size = target
        return read_jpeg(content, limits, lambda _: size, grey)
    return read_jpeg(content, limits, target, grey)


def _decode_dicom(location: str, content: bytes, limits: DecodeLimits, depth: Depth) -> Decoded:
    from radlens.imaging.dicom.picture import decode_dicom

    shown = decode_dicom(location, content, limits, depth)
    facts = FileFacts(
        shown.width,
        shown.height,
        shown.interpretation,
        "DICOM",
        len(content),
        compression=shown.compression,
        remarks=shown.remarks,
    )
    if shown.scale is not None:
        kind, low, high = shown.scale.values
        facts = replace(facts, undeclared=kind, low=low, high=high, clipped=shown.scale.clipped)
    return Decoded(shown.image, _with_brightness(facts, shown.image), (0.0, 0.0, *shown.image.size))


def _with_brightness(facts: FileFacts, image: Image.Image) -> FileFacts:
    rows = max(1, _BRIGHTNESS_PIXELS // image.width)
    if rows < image.height:
        image = image.resize((image.width, rows), Image.Resampling.NEAREST)
    grey = image if image.mode == "L" else image.convert("L")
    histogram = np.asarray(grey.histogram(), dtype=np.float64)
    levels = np.arange(256)
    mean = float(histogram @ levels / histogram.sum())
    variance = float(histogram @ (levels - mean) ** 2 / histogram.sum())
    return replace(facts, mean=mean, std=variance**0.5)
