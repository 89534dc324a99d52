"""A picture as its file stores it: decoded, and not yet display-ready."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

# From the size of the upright picture, width and height, to the size that it will be reduced to.
Reduction = Callable[[tuple[int, int]], tuple[int, int]]


@dataclass(frozen=True)
class Stored:
    """What a format module hands on.

    Attributes:
        pixels: a Pillow picture of at most 8 bits a channel, or an array of wider values: (height, width) grey, or
            (height, width, channels) with 2 channels grey and alpha, 3 colour, 4 colour and alpha.
        width: of the stored picture, in pixels.
        height: of the stored picture, in pixels.
        mode: Pillow's name of the pixel form, with ``;16`` for 16-bit colour.
        compression: how the pixels are compressed, in words.
        orientation: of the camera, 1 to 8 (EXIF tag 274).
        scale: how many times smaller than stored the picture was decoded.
        container: bits that each wide value is stored in.
        declared: significant bits that the file declares for wide values; 0: it declares none.
        inverted: 0 is white.
        transparent: the stored value or colour that is wholly transparent.
    """

    pixels: Image.Image | npt.NDArray[np.generic]
    width: int
    height: int
    mode: str
    compression: str
    orientation: int = 1
    scale: int = 1
    container: int = 16
    declared: int = 0
    inverted: bool = False
    transparent: tuple[int, ...] | None = None


def orientation_of(exif: bytes) -> int:
    """The camera's orientation, 1 to 8, in an EXIF block; 1 where the block is damaged or says nothing.

    >>> orientation_of(b"MM" + bytes([0, 42, 0, 0, 0, 8, 0, 1, 1, 18, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]))
    6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, value = struct.unpack_from(f"{order}HHIH", exif, place)
            if tag == 274:
                return value if (kind, length) == (3, 1) and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def with_raw_mode(picture: ImageFile.ImageFile, change: Callable[[str], str]) -> None:
    """Have Pillow's codec take the stored samples for another form of the same width."""
    tiles = []
    for codec, extents, offset, options in picture.tile:
        assert options is not None
        changed = change(options) if isinstance(options, str) else (change(options[0]), *options[1:])
        tiles.append(type(picture.tile[0])(codec, extents, offset, changed))
    picture.tile = tiles
