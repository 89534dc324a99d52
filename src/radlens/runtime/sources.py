"""What a caller gives for an image (a path, the content of a file, a picture), and what the network gets of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.arrays import ARRAY_KINDS
from radlens.imaging.decode import Decoded, decode, decode_values
from radlens.imaging.limits import DecodeError, DecodeLimits
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing, preprocess
from radlens.runtime.answers import ReadImage
from radlens.runtime.remarks import is_colourful, remarks_of, shows_colours

# A path, the content of a file, or a picture: (height, width) grey or (height, width, 3) colours; uint8, or wider
# values where the contract says what is white.
Source: TypeAlias = str | Path | bytes | npt.NDArray[Any]


def read_image(source: Source, contract: Preprocessing, limits: DecodeLimits) -> ReadImage:
    """The pixels that the contract makes of an image, with what is odd about it.

    Raises:
        DecodeError: it cannot be read.
    """
    name = name_of(source)
    if isinstance(source, np.ndarray):
        decoded = _decoded(source, contract)
        pixels, colourful = preprocess(decoded.image, contract), shows_colours(decoded.image)
        facts = decoded.facts
    else:
        content = source if isinstance(source, bytes) else None
        pixels, facts = read_pixels(name, contract, limits, content)
        colourful = contract.channels == 1 and is_colourful(name, content, facts, limits)
    return ReadImage(name, pixels, remarks_of(pixels, contract, facts, is_colourful=colourful))


def picture_of(source: Source, contract: Preprocessing, limits: DecodeLimits) -> Image.Image:
    """The picture itself, at its own size, its values scaled as the contract says.

    Raises:
        DecodeError: it cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _decoded(source, contract).image
    content = source if isinstance(source, bytes) else None
    return decode(name_of(source), content, limits=limits, depth=contract.depth).image


def name_of(source: Source) -> str:
    """The path as it was given; ``bytes`` or ``array``."""
    if isinstance(source, np.ndarray):
        return "array"
    return "bytes" if isinstance(source, bytes) else str(source)


def _decoded(pixels: npt.NDArray[Any], contract: Preprocessing) -> Decoded:
    """An array as a picture; wider values than 8 bits are shown as in training, or refused."""
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if not is_picture or not pixels.size or pixels.dtype.name not in ARRAY_KINDS:
        raise DecodeError(
            f"array: values of type {pixels.dtype} and shape {pixels.shape} are not a picture; uint8 of shape "
            "(height, width) or (height, width, 3) was expected. For a batch of pixels use predict_batch"
        )
    known = ("uint8", "uint16") if isinstance(contract.depth, int) else ("uint8",)
    if pixels.dtype.name not in known and not isinstance(contract.depth, tuple):
        raise DecodeError(
            f"array: what is white in values of type {pixels.dtype} was not recorded in training. "
            "Give a file or its bytes where the values have more than 8 "
            "bits, so that they are shown as in training, or uint8: 0 black to 255 white"
        )
    return decode_values(pixels.astype(pixels.dtype.newbyteorder("="), copy=False), "array", contract.depth)
