"""A hash of what a picture shows that needs no other picture: 256 bits that stay when it is resized or re-encoded.

The bits are signs of the low frequencies of the equalised thumbnail's cosine transform (Zauner 2010, Implementation and
benchmarking of perceptual image hash functions). The hash of :mod:`radlens.dataset.audit.perceptual_hash` is learnt
from the images of a set, and its candidates are confirmed by laying the pictures over each other. A model carries
neither the set nor its pictures: this hash is the same for ever, and decides alone. Turned, mirrored and cropped copies
it does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.hash_search import Hashes, HashIndex
from radlens.dataset.audit.thumbnails import LEAST_SPREAD, Floats, equalised

# Bits, of 256. Of 5,216 chest radiographs (Kermany et al.) at 160 x 160 the nearest two that are not copies differ in
# 44; 100 of them at original size differ in at most 17 from their resized copies, and 99 in 100 at half the size and
# JPEG quality 30 in fewer than 32.
PICTURE_RADIUS = 32

_SIDE = 32
_FREQUENCIES = np.arange(1, 17)
_ORDERS = 16
_CHUNK = 256


def picture_hashes(pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> list[str]:
    """The hash of each image, 64 hexadecimal digits; empty for one that shows nothing or could not be read.

    Args:
        pixels: uint8, shape (any, channels, height, width).
        rows: the row of each image in ``pixels``; below 0 where it could not be read.
    """
    hashes = [""] * len(rows)
    readable = np.flatnonzero(np.asarray(rows) >= 0)
    for start in range(0, len(readable), _CHUNK):
        part = readable[start : start + _CHUNK]
        thumbnails = equalised(pixels[np.asarray(rows)[part]], _SIDE)
        shown = thumbnails.std(axis=(1, 2)) >= LEAST_SPREAD
        for number, octets in zip(part[shown], _bits(thumbnails[shown]), strict=True):
            hashes[number] = octets.tobytes().hex()
    return hashes


def same_pictures(hashes: Sequence[str], known: Collection[str]) -> npt.NDArray[np.bool_]:
    """Which images show the same picture as one of those that are known.

    Args:
        hashes: what :func:`picture_hashes` gave.
        known: hashes of others.
    """
    same = np.zeros(len(hashes), dtype=np.bool_)
    asked = [number for number, text in enumerate(hashes) if text]
    if asked and known:
        index = HashIndex.build(_numbers(sorted(known)), _ORDERS)
        same[np.array(asked)[index.near(_numbers([hashes[number] for number in asked]), PICTURE_RADIUS).query]] = True
    return same


def _bits(thumbnails: Floats) -> npt.NDArray[np.uint8]:
    """Signs of the transform without the frequency 0, of which there is little between equalised pictures."""
    waves = np.cos(np.pi * np.outer(_FREQUENCIES, (np.arange(_SIDE) + 0.5) / _SIDE)).astype(np.float32)
    transform = waves @ thumbnails @ waves.T
    return np.packbits(transform.reshape(-1, _FREQUENCIES.size**2) > 0, axis=1)


def _numbers(hashes: Sequence[str]) -> Hashes:
    """Shape (hashes, words)."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), -1).view(np.uint64)
