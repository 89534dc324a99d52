"""The pixel grid of a simulated radiograph: coordinates, points and tubes drawn on it, and the texture of tissue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft

from radlens.dataset.phantom.anatomy import Floats
from radlens.dataset.phantom.physics import Acquisition

Complexes = npt.NDArray[np.complex64]

_TEXTURE = 192
# The texture covers x from -2.4 to 2.4 and z from -1.4 to 3.4: more than any picture shows.
_TEXTURE_SPAN, _TEXTURE_LEFT, _TEXTURE_TOP = 4.8, -2.4, -1.4


@dataclass(frozen=True, eq=False)
class Tube:
    """Material along a curve, given as points.

    Attributes:
        x: of the points.
        z: of the points.
        volume: of the material at each point; path length times area.
        radius: of the tube.
        hollow: 0 solid to 1 a wall with hardly anything in the middle.
    """

    x: Floats
    z: Floats
    volume: Floats
    radius: float
    hollow: float = 0.0


@dataclass(frozen=True, eq=False)
class Grid:
    """A square picture with a margin: ``x`` of shape (1, n) and ``z`` of shape (n, 1) in the patient's frame."""

    x: Floats
    z: Floats
    pixel: float

    @classmethod
    def of(cls, acquisition: Acquisition, size: int) -> Grid:
        """The grid of an acquisition for a picture of this size."""
        n = padded(size)
        pixel = 2 * acquisition.field / size
        offset = (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)) * np.float32(pixel)
        across, down = acquisition.shift
        x = offset - np.float32(across)
        z = offset + np.float32(acquisition.field - acquisition.top - down)
        return cls(x[None, :], z[:, None], pixel)

    @property
    def n(self) -> int:
        """Pixels along a side, margin included."""
        return int(self.x.shape[1])

    def window(self, x: float, z: float, width: float, height: float) -> tuple[slice, slice]:
        """Rows and columns of the pixels that are no further from a place than this."""
        rows = np.searchsorted(self.z[:, 0], (z - height, z + height))
        columns = np.searchsorted(self.x[0], (x - width, x + width))
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))

    def splat(self, x: Floats, z: Floats, volume: Floats) -> Floats:
        """Path length of material that sits in points: each volume is shared by the four nearest pixels."""
        n = self.n
        column = (x.ravel() - self.x[0, 0]) / np.float32(self.pixel)
        row = (z.ravel() - self.z[0, 0]) / np.float32(self.pixel)
        inside = (column >= 0) & (column < n - 1) & (row >= 0) & (row < n - 1)
        column, row = column[inside], row[inside]
        weight = volume.ravel()[inside] / np.float32(self.pixel**2)
        left, top = column.astype(np.int32), row.astype(np.int32)
        right, bottom = column - left, row - top
        first = top * n + left
        places = np.concatenate([first, first + 1, first + n, first + n + 1])
        upper, lower = weight * (1 - bottom), weight * bottom
        weights = np.concatenate([upper * (1 - right), upper * right, lower * (1 - right), lower * right])
        return np.bincount(places, weights, n * n).reshape(n, n).astype(np.float32)

    def tubes(self, *tubes: Tube) -> Floats:
        """Path length through tubes, exact for thin ones: a curve that runs along the ray adds up.

        A ball whose projection is drawn along a curve makes a tube, so each is a convolution.
        """
        spectrum = np.zeros((self.n, self.n // 2 + 1), np.complex64)
        alike: dict[tuple[float, float], list[Tube]] = {}
        for tube in tubes:
            alike.setdefault((round(tube.radius / self.pixel, 1), tube.hollow), []).append(tube)
        for (radius, hollow), group in alike.items():
            x, z, volume = (
                np.concatenate([getattr(tube, name).ravel() for tube in group]) for name in ("x", "z", "volume")
            )
            spectrum += fft.rfft2(self.splat(x, z, volume)) * _kernel(self.n, radius, hollow)
        return np.asarray(fft.irfft2(spectrum, (self.n, self.n)), np.float32)


@lru_cache(maxsize=16)
def padded(size: int) -> int:
    """Side of the grid: the picture with a margin for the tilt, of a length that transforms fast."""
    return int(fft.next_fast_len(size + 2 * max(size // 14, 4), real=True))


@lru_cache(maxsize=256)
def _kernel(n: int, radius: float, hollow: float) -> Complexes:
    """Transform of a ball's projection whose sum is one; radius in pixels."""
    away = np.minimum(np.arange(n), n - np.arange(n)).astype(np.float32)
    squared = away[:, None] ** 2 + away[None, :] ** 2
    outer = max(radius, 0.7)
    kernel = np.sqrt(np.maximum(outer**2 + 0.25 - squared, 0))
    kernel -= np.float32(hollow) * np.sqrt(np.maximum((0.78 * outer) ** 2 - squared, 0))
    return np.asarray(fft.rfft2(kernel / kernel.sum()), np.complex64)


def texture(seed: int, grid: Grid) -> tuple[Floats, Floats]:
    """Two random fields of unit variance that are fixed to the patient: a coarse and a fine one."""
    cell = _TEXTURE_SPAN / _TEXTURE
    left, top = (float(grid.x[0, 0]) - _TEXTURE_LEFT) / cell, (float(grid.z[0, 0]) - _TEXTURE_TOP) / cell
    side = grid.pixel * grid.n / cell
    box = (left, top, left + side, top + side)
    coarse, fine = (
        Image.fromarray(field).resize((grid.n, grid.n), Image.Resampling.BICUBIC, box) for field in _fields(seed)
    )
    return np.asarray(coarse, np.float32), np.asarray(fine, np.float32)


@lru_cache(maxsize=2)
def _fields(seed: int) -> tuple[Floats, Floats]:
    noise = np.random.default_rng(seed).standard_normal((_TEXTURE, _TEXTURE), dtype=np.float32)
    coarse, fine = (fft.irfft2(fft.rfft2(noise) * band, noise.shape) for band in _bands())
    return coarse, fine


@lru_cache(maxsize=1)
def _bands() -> tuple[Floats, Floats]:
    """Filters of the coarse and the fine field in cycles a unit length, scaled to unit variance."""
    cycles = np.hypot(fft.fftfreq(_TEXTURE)[:, None], fft.rfftfreq(_TEXTURE)[None, :]) * _TEXTURE / _TEXTURE_SPAN
    # The transform of a real field stores one of each pair of conjugates.
    pairs = np.full(cycles.shape[1], 2.0)
    pairs[[0, -1]] = 1.0
    bands = []
    for low, high, fall in ((0.5, 4.0, 1.6), (3.5, 15.0, 0.8)):
        band = np.exp(-((cycles / high) ** 2)) * (1 - np.exp(-((cycles / low) ** 2))) / np.maximum(cycles, 0.25) ** fall
        bands.append((band / np.sqrt(np.mean(band**2 * pairs) * len(pairs) / _TEXTURE)).astype(np.float32))
    return bands[0], bands[1]


def step(share: npt.ArrayLike) -> Floats:
    """Smooth rise from 0 at 0 to 1 at 1."""
    clipped = np.clip(np.asarray(share, np.float32), 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), np.float32)


def bell(offset: npt.ArrayLike) -> Floats:
    """Gaussian of unit height and unit standard deviation."""
    values = np.asarray(offset, np.float32)
    return np.asarray(np.exp(np.float32(-0.5) * values * values), np.float32)


def curve(x: Floats, z: Floats, area: Floats | float, radius: float, hollow: float = 0.0) -> Tube:
    """A tube along a curve in the picture plane, with the cross-section of its material."""
    volume = area * np.hypot(np.gradient(x), np.gradient(z))
    return Tube(x.astype(np.float32), z.astype(np.float32), volume.astype(np.float32), radius, hollow)


def mirrored(tube: Tube, turn: float = 0.0) -> Tube:
    """The tube and its mirror image on the other side, both shifted by a turn of the patient."""
    x = np.concatenate([tube.x + np.float32(turn), np.float32(turn) - tube.x])
    return Tube(x, np.tile(tube.z, 2), np.tile(tube.volume, 2), tube.radius, tube.hollow)
