"""From a file, or one image of an array, to a display-ready 8-bit picture, with limits on what is opened."""

from __future__ import annotations

import functools
import io
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from radlens.errors import DataError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MAX_BYTES = 512 * 2**20
MAX_PIXELS = 100_000_000
_DICOM_PREFIX = 128

# What the decoders' own code lets through when the bytes are not what they claim to be.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class DecodeError(DataError):
    """The file holds no image that may be opened; the message says why."""


@dataclass(frozen=True)
class FileFacts:
    """What is known of an image file beside its anatomy.

    Attributes:
        width: of the stored image, in pixels.
        height: of the stored image, in pixels.
        mode: Pillow's name of the pixel form (``L``, ``RGB``, ``I;16``), or DICOM's photometric interpretation.
        format: JPEG, PNG, …, DICOM or ARRAY.
        bytes: size of the file, or of the image within its array.
        mean: mean of the grey picture, 0 to 255.
        std: standard deviation of the grey picture, 0 to 255.
    """

    width: int
    height: int
    mode: str
    format: str
    bytes: int
    mean: float = float("nan")
    std: float = float("nan")


@dataclass(frozen=True)
class Decoded:
    """A display-ready picture (mode ``L`` or ``RGB``, 8 bit) and what is known of its file."""

    image: Image.Image
    facts: FileFacts


def is_array_location(location: str) -> bool:
    """Whether a location points into an array, as ``archive.npz::train_images/17`` does."""
    return "::" in location and location.partition("::")[0].endswith(".npz")


def read_bytes(location: str) -> bytes:
    """The content of a file, or of one image of an array; what the pixel cache is keyed by.

    Raises:
        DecodeError: the file cannot be read, is empty or exceeds ``MAX_BYTES``.
    """
    if is_array_location(location):
        pixels = read_array(location)
        # The same bytes in another shape are another image.
        return repr(pixels.shape).encode() + pixels.tobytes()
    path = Path(location)
    try:
        size = path.stat().st_size
        if size == 0:
            raise DecodeError(f"{location}: the file is empty")
        if size > MAX_BYTES:
            raise DecodeError(f"{location}: the file has {size:,} bytes; at most {MAX_BYTES:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise DecodeError(f"{location}: the file cannot be read ({error.strerror or error})") from error


def decode(location: str, content: bytes | None = None, target: tuple[int, int] | None = None) -> Decoded:
    """Decode one image.

    Args:
        location: file path, or ``archive.npz::array/index``.
        content: the file's bytes, if they were read already.
        target: width and height the image will be reduced to; a JPEG is then decoded at a reduced scale that is
            still at least twice as large.

    Raises:
        DecodeError: the bytes are no image of an allowed format, are damaged, or exceed the limits.
    """
    if is_array_location(location):
        return _decode_array(location)
    content = read_bytes(location) if content is None else content
    if content[_DICOM_PREFIX : _DICOM_PREFIX + 4] == b"DICM":
        from radlens.imaging.dicom import decode_dicom

        image, width, height, mode = decode_dicom(location, content)
        return _with_facts(image, FileFacts(width, height, mode, "DICOM", len(content)))
    return _decode_picture(location, content, target)


def _decode_picture(location: str, content: bytes, target: tuple[int, int] | None) -> Decoded:
    try:
        with warnings.catch_warnings():
            # Pillow's own bomb warning is superseded by MAX_PIXELS.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            width, height = picture.size
            facts = FileFacts(width, height, picture.mode, str(picture.format), len(content))
            if width * height > MAX_PIXELS:
                raise DecodeError(f"{location}: {width} x {height} pixels; at most {MAX_PIXELS:,} are opened")
            if target is not None and isinstance(picture, ImageFile.ImageFile):
                picture.draft("RGB" if picture.mode == "RGB" else "L", (2 * target[0], 2 * target[1]))
            picture.load()
            image = _to_eight_bit(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise DecodeError(
            f"{location}: no image of a known format ({', '.join(FORMATS)} or DICOM); it begins with {content[:8]!r}"
        ) from None
    except DecodeError:
        raise
    except DAMAGE as error:
        raise DecodeError(f"{location}: the image is damaged ({error})") from error
    return _with_facts(image, facts)


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Grey or colour of 8 bits; 16-bit and floating grey are scaled from their whole nominal range."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.uint16)
        return Image.fromarray((values / 257.0 + 0.5).astype(np.uint8))
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretch(np.asarray(image, dtype=np.float64)))
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    if image.mode == "P" and _palette_is_grey(image):
        return image.convert("L")
    return image.convert("RGB")


def _palette_is_grey(image: Image.Image) -> bool:
    palette = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _stretch(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Linear from the smallest to the largest value onto 0 to 255."""
    if not np.isfinite(values).all():
        raise ValueError("pixel values are not finite")
    low, high = float(values.min()), float(values.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.asarray((values - low) * scale + 0.5, dtype=np.uint8)


def _with_facts(image: Image.Image, facts: FileFacts) -> Decoded:
    grey = image if image.mode == "L" else image.convert("L")
    histogram = np.asarray(grey.histogram(), dtype=np.float64)
    levels = np.arange(256)
    mean = float(histogram @ levels / histogram.sum())
    variance = float(histogram @ (levels - mean) ** 2 / histogram.sum())
    return Decoded(
        image, FileFacts(facts.width, facts.height, facts.mode, facts.format, facts.bytes, mean, variance**0.5)
    )


def _decode_array(location: str) -> Decoded:
    pixels = read_array(location)
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    return _with_facts(image, FileFacts(width, height, image.mode, "ARRAY", pixels.nbytes))


def read_array(location: str) -> npt.NDArray[np.uint8]:
    """One image of an array: uint8, shape (height, width) or (height, width, 3).

    Raises:
        DecodeError: the archive, the array or the index does not exist, or the array holds no 8-bit images.
    """
    archive, _, member = location.partition("::")
    name, _, index = member.rpartition("/")
    try:
        images = _load_array(archive, name, Path(archive).stat().st_mtime_ns)
        return np.asarray(images[int(index)])
    except (zipfile.BadZipFile, *DAMAGE) as error:
        raise DecodeError(f"{location}: no such image in the archive ({error})") from error


@functools.lru_cache(maxsize=4)
def _load_array(archive: str, name: str, _modified: int) -> npt.NDArray[np.uint8]:
    """The image array of an archive; kept, since a compressed array can only be read whole, until it is modified."""
    with np.load(archive, allow_pickle=False) as arrays:
        images = arrays[name]
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
        raise ValueError(f"array {name} has type {images.dtype} and shape {images.shape}; expected uint8 images")
    images.setflags(write=False)
    return np.asarray(images)
