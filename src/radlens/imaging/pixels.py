"""From file to array: the one road, for the cache, for a trained model and for everything else."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from radlens.imaging.decode import FileFacts, decode
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.imaging.preprocess import Preprocessing, preprocess, reduced_size


def read_pixels(
    location: str, contract: Preprocessing, limits: DecodeLimits = DEFAULT_LIMITS, content: bytes | None = None
) -> tuple[npt.NDArray[np.uint8], FileFacts]:
    """Decode an image and apply the contract, which alone decides what comes out.

    Args:
        location: file path, or ``archive.npz::array/index``.
        contract: what to make of the image.
        limits: bounds on the file; they decide whether it is read, never what comes out.
        content: the file's bytes, if they were read already.

    Returns:
        The pixels, uint8, shape (channels, height, width) of the contract, 0 black to 255 white, bone bright where
        the file tells its polarity (:func:`radlens.imaging.decode.decode`); and what is known of the file.

    Raises:
        DecodeError: the image cannot be decoded, or exceeds the limits.
    """
    reduction = functools.partial(reduced_size, contract)
    decoded = decode(location, content, reduction, limits, grey=contract.channels == 1, depth=contract.depth)
    return preprocess(decoded.image, contract, decoded.box), decoded.facts
