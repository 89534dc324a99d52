"""The log-polar spectrum of a picture, from which those of its variants follow without computing them again.

The magnitudes of a picture's Fourier transform do not change with a shift, a half turn or an exchange of black and
white. In polar coordinates with logarithmic radii a rotation moves them along the angles, a change of size along the
radii, and a mirror image reverses the angles (Reddy and Chatterji 1996, doi:10.1109/83.506761).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.thumbnails import Floats

_SIDE = 32
_PADDED = 64
# The radii of the features, in cycles over the picture, reach from 1.2 to 7.3.
_FIRST, _STEP, _RADII = 1.2, 1.1, 20
# More radii at either end, so that a change of size finds its features too.
_SPARE = 2
_ANGLES = 36
_STRETCH = 1.1
_STRETCHES = (0, -1, 1)

FEATURES = _RADII * _ANGLES


@dataclass(frozen=True)
class Variant:
    """A change of a picture whose features are numbers of the picture's own spectrum.

    Attributes:
        turn: rotation in steps of 5 degrees.
        zoom: in steps of a tenth; 1: the picture seen smaller, -1: larger.
        stretch: 1: seen lower by a tenth and wider by a tenth, -1: the other way.
        mirrored: left and right exchanged, before all else.
    """

    turn: int = 0
    zoom: int = 0
    stretch: int = 0
    mirrored: bool = False

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """Where in the picture a place of the variant is taken from, shape (2, 2), row and column; shifts left open."""
        angle = -np.pi / _ANGLES * self.turn
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        stretch = np.diag([_STRETCH**self.stretch, _STRETCH**-self.stretch])
        mirror = np.diag([1.0, -1.0 if self.mirrored else 1.0])
        return np.asarray(mirror @ stretch @ turn * _STEP**self.zoom, dtype=np.float64)

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """Which numbers of a picture's spectrum are the features of the variant, shape (features,)."""
        radii = np.arange(_SPARE, _RADII + _SPARE) - self.zoom
        angles = np.arange(_ANGLES) + self.turn
        if self.mirrored:
            angles = -angles
        block = _STRETCHES.index(self.stretch) * (_RADII + 2 * _SPARE)
        return np.asarray(((block + radii[:, None]) * _ANGLES + angles % _ANGLES).ravel(), np.int64)


PLAIN = Variant()
_QUARTER = _ANGLES // 2
# With half turns, which leave the magnitudes as they are, these make up all eight ways to lay a picture down.
ORIENTATIONS = tuple(Variant(turn, mirrored=mirrored) for mirrored in (False, True) for turn in (0, _QUARTER))
# A pair is looked for from either side, so what is seen smaller one way is seen larger the other way.
VARIANTS = (
    *(
        Variant(orientation.turn + turn, zoom, 0, orientation.mirrored)
        for orientation in ORIENTATIONS
        for turn in (0, -1, 1, -2, 2)
        for zoom in (0, -1, 1)
    ),
    *(Variant(turn, zoom) for turn in (0, -1, 1) for zoom in (-2, 2)),
    *(Variant(turn, zoom, stretch) for turn in (0, -1, 1) for zoom in (-1, 1) for stretch in (-1, 1)),
)


@dataclass(frozen=True, eq=False)
class Spectra:
    """Takes the log-polar magnitude spectra of pictures.

    Attributes:
        window: what a picture is multiplied by, so that its edges play no part.
        bins: which bins of the transform are used.
        weights: how much each of them adds to each cell of the spectrum, shape (bins, cells).
        side: height and width of the pictures.
    """

    window: Floats
    bins: npt.NDArray[np.int64]
    weights: Floats
    side: ClassVar[int] = _SIDE

    @classmethod
    def make(cls) -> Self:
        """Compute the window and the weights."""
        rows, columns = np.meshgrid(
            np.fft.fftfreq(_PADDED) * _SIDE, np.arange(_PADDED // 2 + 1) * _SIDE / _PADDED, indexing="ij"
        )
        highest = _FIRST * _STEP ** (_RADII + _SPARE) * _STRETCH
        bins = np.flatnonzero((np.hypot(rows, columns) > 0.5) & (np.hypot(rows, columns) < min(highest, _SIDE / 2)))
        row, column = rows.ravel()[bins], columns.ravel()[bins]
        cells = [_cells(row * _STRETCH**stretch, column * _STRETCH**-stretch) for stretch in _STRETCHES]
        taper = np.hanning(_SIDE + 2)[1:-1]
        weights = np.concatenate(cells, axis=1).astype(np.float32)
        return cls(np.outer(taper, taper).astype(np.float32), bins, weights)

    def of(self, pictures: Floats) -> Floats:
        """Spectra of equalised thumbnails: logarithms of magnitudes, shape (images, cells)."""
        mean = (pictures * self.window).sum(axis=(1, 2), keepdims=True) / self.window.sum()
        transform = np.fft.rfft2((pictures - mean) * self.window, (_PADDED, _PADDED)).reshape(len(pictures), -1)
        magnitudes = np.abs(transform[:, self.bins]).astype(np.float32)
        return np.asarray(np.log(magnitudes @ self.weights + np.float32(0.2)), dtype=np.float32)


def _cells(row: npt.NDArray[np.float64], column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights of bins at these frequencies in the cells of one spectrum, shape (bins, radii * angles)."""
    radius, angle = np.log(np.hypot(row, column)), np.arctan2(row, column)
    centre = np.log(_FIRST) + np.log(_STEP) * np.arange(-_SPARE, _RADII + _SPARE)[:, None, None]
    off = (angle - np.pi / _ANGLES * np.arange(_ANGLES)[:, None] + np.pi / 2) % np.pi - np.pi / 2
    # A cell is no narrower than what one bin resolves at its radius.
    resolved = 0.3 / np.exp(centre)
    wide, broad = np.maximum(np.log(_STEP), resolved), np.maximum(np.pi / _ANGLES, resolved)
    weights = np.exp(-(((radius - centre) / wide) ** 2 + (off / broad) ** 2) / 2)
    weights[weights < 1e-3] = 0
    weights /= weights.sum(axis=2, keepdims=True)
    return np.asarray(weights.reshape(-1, len(row)).T)
