"""Near duplicates: images that show the same picture, found by close hashes, confirmed by laying one over the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from radlens.base.cpu import available_cores
from radlens.base.progress import track
from radlens.dataset.audit.hash_search import Hashes, HashIndex
from radlens.dataset.audit.perceptual_hash import PerceptualHash
from radlens.dataset.audit.registration import Registration, finest_side, judge, register
from radlens.dataset.audit.spectrum import VARIANTS, Spectra
from radlens.dataset.audit.thumbnails import LEAST_SPREAD, Bools, Floats, equalised

Integers = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]
B = TypeVar("B")

# Bits, of 256: 99 in 100 of all planted copies differ in fewer; of unrelated radiographs, one pair in 10,000.
RADIUS = 64
ORDERS = 16
# Only so many of the nearest others of an image are looked at closely, so that the work grows no faster than the set.
NEAREST = 4

_CHUNK = 256
_BATCH = 32


class Candidates(NamedTuple):
    """Pairs of images whose hashes are close, each part one for each pair.

    Attributes:
        first: row of the image that was varied.
        second: row of the image that the variant is close to.
        variant: which one, a number in ``VARIANTS``.
        distance: bits in which the hashes differ.
    """

    first: Integers
    second: Integers
    variant: Integers
    distance: Integers


class Compared(NamedTuple):
    """Pairs of images that were laid over each other and found alike, each part one for each pair.

    Attributes:
        first: row of one image.
        second: row of the other.
        same: whether they show the same picture; else two exposures that agree as only those of one patient do.
        similarity: how far their fine structure agrees, up to 1.
        maps: where in the first each place of the second is found, shape (pairs, 2, 3).
        inverted: whether black and white are exchanged.
    """

    first: Integers
    second: Integers
    same: Bools
    similarity: Floats
    maps: Floats
    inverted: Bools


def same_pixels(pixels: Pixels, rows: Integers) -> Integers:
    """The first of the rows that has the same pixels, for each of the rows."""
    seen: dict[bytes, int] = {}
    digests = (
        digest
        for part in _over(rows, _CHUNK, lambda part: _digests(pixels[part]), "Comparing pixels")
        for digest in part
    )
    return np.array([seen.setdefault(digest, int(row)) for row, digest in zip(rows, digests, strict=True)], np.int64)


def _digests(images: Pixels) -> list[bytes]:
    return [hashlib.blake2b(image.data, digest_size=16).digest() for image in images]


def compare_all(pixels: Pixels, rows: Integers) -> Compared:
    """Pairs of images that show the same picture, though turned, mirrored, cropped, re-encoded or of other grey levels.

    Args:
        pixels: shape (images, channels, height, width).
        rows: which of the images to compare; no two of them with the same pixels.
    """
    # The threads here take the cores; a matrix product that started more of its own would only wait for them.
    with threadpool_limits(1, user_api="blas"):
        return compare(pixels, find_candidates(pixels, rows))


def find_candidates(pixels: Pixels, rows: Integers) -> Candidates:
    """Pairs of images that may show the same picture: for each image its nearest by hash.

    An image that is almost all of one grey has no picture to compare, and no candidates.
    """
    if len(rows) < 2:
        return _no_candidates()
    spectra = Spectra.make()
    learnt = PerceptualHash.fit(pixels, rows, spectra)
    plain = list(_over(rows, _CHUNK, lambda part: _plain(learnt, spectra, pixels[part]), "Hashing images"))
    hashes, spread = (np.concatenate(each) for each in zip(*plain, strict=True))
    rows = rows[spread >= LEAST_SPREAD]
    if len(rows) < 2:
        return _no_candidates()
    index = HashIndex.build(hashes[spread >= LEAST_SPREAD], ORDERS)

    def near(numbers: Integers) -> Candidates:
        return _nearest(index, numbers, _varied(learnt, spectra, pixels[rows[numbers]]))

    batches = list(_over(np.arange(len(rows)), _CHUNK, near, "Looking for near duplicates"))
    first, second, variant, distance = (np.concatenate(each) for each in zip(*batches, strict=True))
    closest = _first_of_each(np.minimum(first, second) * len(rows) + np.maximum(first, second), distance)
    return Candidates(rows[first[closest]], rows[second[closest]], variant[closest], distance[closest])


def compare(pixels: Pixels, candidates: Candidates) -> Compared:
    """Those of the candidates that show the same picture, or are alike as only exposures of one patient are."""
    matrices = np.stack([variant.matrix for variant in VARIANTS]).astype(np.float32)

    def laid(pairs: Integers) -> Registration:
        first, second = (pixels[each[pairs]] for each in (candidates.first, candidates.second))
        return register(first, second, matrices[candidates.variant[pairs]])

    parts = list(_over(np.arange(len(candidates.first)), _BATCH, laid, "Comparing images"))
    if not parts:
        nothing, shares = np.empty(0, np.int64), np.empty(0, np.float32)
        none = np.empty(0, np.bool_)
        return Compared(nothing, nothing, none, shares, np.empty((0, 2, 3), np.float32), none)
    registration = Registration(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    same, alike = judge(registration, finest_side(*pixels.shape[2:]))
    kept = same | alike
    return Compared(
        candidates.first[kept],
        candidates.second[kept],
        same[kept],
        registration.similarity[kept],
        registration.maps[kept],
        registration.inverted[kept],
    )


def _plain(learnt: PerceptualHash, spectra: Spectra, images: Pixels) -> tuple[Hashes, Floats]:
    pictures = equalised(images, Spectra.side)
    return learnt.hashes(spectra.of(pictures)), pictures.std(axis=(1, 2))


def _varied(learnt: PerceptualHash, spectra: Spectra, images: Pixels) -> Hashes:
    """Hashes of all variants, shape (images, variants, words)."""
    described = spectra.of(equalised(images, Spectra.side))
    return np.stack([learnt.hashes(described, variant) for variant in VARIANTS], axis=1)


def _nearest(index: HashIndex, numbers: Integers, hashes: Hashes) -> Candidates:
    """The nearest others of a few images, by number in the index."""
    _, variants, words = hashes.shape
    query, second, distance = index.near(hashes.reshape(-1, words), RADIUS)
    first, variant = numbers[query // variants], query % variants
    other = np.flatnonzero(first != second)
    neighbours = other[_first_of_each(first[other] * len(index.hashes) + second[other], distance[other])]
    neighbours = neighbours[np.lexsort((distance[neighbours], first[neighbours]))]
    # The place of each among those of the same image, the nearest first.
    owner = first[neighbours]
    neighbours = neighbours[np.arange(len(owner)) - np.searchsorted(owner, owner) < NEAREST]
    return Candidates(first[neighbours], second[neighbours], variant[neighbours], distance[neighbours])


def _first_of_each(keys: Integers, values: Integers) -> Integers:
    """Where the smallest value of each key stands, in the order of the keys."""
    order = np.lexsort((values, keys))
    return order[np.unique(keys[order], return_index=True)[1]]


def _no_candidates() -> Candidates:
    nothing = np.empty(0, np.int64)
    return Candidates(nothing, nothing, nothing, nothing)


def _over(items: Integers, size: int, function: Callable[[Integers], B], description: str) -> Iterator[B]:
    """The results for consecutive parts of the items, computed in threads, with progress."""
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    with ThreadPoolExecutor(available_cores()) as pool:
        yield from track(pool.map(function, parts), description, len(parts))
