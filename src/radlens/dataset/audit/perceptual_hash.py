"""A perceptual hash: 256 bits that change little when a picture is turned, mirrored, shifted, cropped or re-encoded.

The bits are signs of projections of the picture's log-polar spectrum, of those projections in which the pictures of a
set differ most, relative to how much small changes move them (Strecha et al. 2012, doi:10.1109/TPAMI.2011.103). So the
bits are even and nearly independent, though all pictures of a set may be chest radiographs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from radlens.dataset.audit.hash_search import Hashes
from radlens.dataset.audit.spectrum import FEATURES, ORIENTATIONS, PLAIN, Spectra, Variant
from radlens.dataset.audit.thumbnails import Floats, equalised, warp

BITS = 256

_PROJECTIONS = 64
_SAMPLE = 2048
_GENERIC = 64
_RARE = 8


@dataclass(frozen=True, eq=False)
class PerceptualHash:
    """The projections whose signs are the bits.

    Attributes:
        directions: shape (features, projections).
        mean: of the projections, shape (projections,).
        mixing: random rotations that make more bits than projections, each of them worth the same; shape
            (projections, bits).
    """

    directions: Floats
    mean: Floats
    mixing: Floats

    @classmethod
    def fit(cls, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], spectra: Spectra) -> Self:
        """Learn from a sample of the images in what they differ and what small changes do to them.

        Args:
            pixels: shape (images, channels, height, width).
            rows: the images among them to learn from.
            spectra: what takes the spectra.
        """
        rng = np.random.default_rng(0)
        sample = np.sort(rng.permutation(rows)[:_SAMPLE])
        # A few pictures of no set in particular make the projections sound for a set of very few.
        pictures = np.concatenate([equalised(pixels[sample], Spectra.side), _generic(rng)])
        described = spectra.of(pictures)
        moved = [spectra.of(_slightly_changed(pictures, rng)) - described for _ in range(2)]
        change = np.concatenate(moved)[:, PLAIN.order].astype(np.float64)
        within = change.T @ change / len(change)
        within += 0.05 * np.trace(within) / FEATURES * np.eye(FEATURES)
        # Pictures laid down otherwise are many in no set; were they left out, those few would all have one hash.
        laid = np.concatenate(
            [described[:: 1 if each == PLAIN else _RARE, each.order] for each in ORIENTATIONS], dtype=np.float64
        )
        _, vectors = eigh(np.cov(laid.T), within, subset_by_index=(FEATURES - _PROJECTIONS, FEATURES - 1))
        projected = laid @ vectors
        directions, mean = vectors / projected.std(axis=0), (projected / projected.std(axis=0)).mean(axis=0)
        rotations = [
            np.linalg.qr(rng.standard_normal((_PROJECTIONS, _PROJECTIONS)))[0] for _ in range(BITS // _PROJECTIONS)
        ]
        return cls(*(part.astype(np.float32) for part in (directions, mean, np.concatenate(rotations, axis=1))))

    def hashes(self, described: Floats, variant: Variant = PLAIN) -> Hashes:
        """Hashes of a variant of each picture, shape (images, words), from the spectra of the pictures."""
        projected = described[:, variant.order] @ self.directions - self.mean
        return np.packbits(projected @ self.mixing > 0, axis=1).view(np.uint64)


def _generic(rng: np.random.Generator) -> Floats:
    """Random pictures with the spectrum that natural ones have (Field 1987, doi:10.1364/JOSAA.4.002379)."""
    side = Spectra.side
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    fall = np.maximum(np.hypot(rows, columns), 1 / side)
    noise = np.fft.rfft2(rng.standard_normal((_GENERIC, side, side)))
    fields = np.fft.irfft2(noise / fall, (side, side))
    ranks = fields.reshape(_GENERIC, -1).argsort(axis=1).argsort(axis=1).reshape(fields.shape)
    return np.asarray(ranks / ranks[0].size - 0.5, dtype=np.float32)


def _slightly_changed(pictures: Floats, rng: np.random.Generator) -> Floats:
    """Each picture turned, shifted, enlarged and stretched by about half the step from one variant to the next."""
    count = len(pictures)
    angle = np.deg2rad(rng.uniform(-2.5, 2.5, count))
    size, stretch = np.exp(rng.uniform(-0.05, 0.05, count)), np.exp(rng.uniform(-0.03, 0.03, count))
    maps = np.empty((count, 2, 3))
    maps[:, 0, :2] = (size * stretch * np.stack([np.cos(angle), -np.sin(angle)])).T
    maps[:, 1, :2] = (size / stretch * np.stack([np.sin(angle), np.cos(angle)])).T
    maps[:, :, 2] = rng.uniform(-0.05, 0.05, (count, 2))
    return warp(pictures, maps)[0]
