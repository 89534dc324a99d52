"""What a caller gives for an image (a path, the content of a file, a picture), and what the network gets of it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.decode import FileFacts, decode
from radlens.imaging.limits import DecodeError, DecodeLimits
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing, preprocess
from radlens.runtime.answers import ReadImage
from radlens.runtime.remarks import is_colourful, remarks_of, shows_colours

# A path, the content of a file, or a picture: uint8, (height, width) grey or (height, width, 3) colours.
Source: TypeAlias = str | Path | bytes | npt.NDArray[np.uint8]


def read_image(source: Source, contract: Preprocessing, limits: DecodeLimits) -> ReadImage:
    """The pixels that the contract makes of an image, with what is odd about it.

    Raises:
        DecodeError: it cannot be read.
    """
    name = name_of(source)
    if isinstance(source, np.ndarray):
        picture = _picture(source)
        pixels, colourful = preprocess(picture, contract), shows_colours(picture)
        facts = FileFacts(picture.width, picture.height, picture.mode, "ARRAY", source.nbytes)
    else:
        content = source if isinstance(source, bytes) else None
        pixels, facts = read_pixels(name, contract, limits, content)
        colourful = contract.channels == 1 and is_colourful(name, content, facts, limits)
    return ReadImage(name, pixels, remarks_of(pixels, contract, facts, is_colourful=colourful))


def picture_of(source: Source, limits: DecodeLimits) -> Image.Image:
    """The picture itself, at its own size.

    Raises:
        DecodeError: it cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _picture(source)
    return decode(name_of(source), source if isinstance(source, bytes) else None, limits=limits).image


def name_of(source: Source) -> str:
    """The path as it was given; ``bytes`` or ``array``."""
    if isinstance(source, np.ndarray):
        return "array"
    return "bytes" if isinstance(source, bytes) else str(source)


def _picture(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    is_grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or not (is_grey or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not pixels.size:
        raise DecodeError(
            f"array: values of type {pixels.dtype} and shape {pixels.shape} are not a picture; uint8 of shape "
            "(height, width) or (height, width, 3) was expected. Give a file or its bytes where the values have more "
            "than 8 bits, so that they are shown as in training; for a batch of pixels use predict_batch"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
