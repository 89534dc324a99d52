"""From attenuation to picture: Beer-Lambert law, scatter, quantum noise, detector response and display."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Floats = npt.NDArray[np.float32]

# Linear attenuation in 1/cm at 65 keV, the effective energy of a chest exposure at 110 to 125 kV. Mass attenuation
# coefficients of the ICRU-44 tissues from Hubbell and Seltzer, NISTIR 5632 (https://doi.org/10.18434/T4D01F),
# interpolated log-log between 60 and 80 keV; times density: soft tissue 1.06, cortical bone 1.92, inflated lung 0.26.
MU_SOFT = 0.1982 * 1.06
MU_BONE = 0.2860 * 1.92
MU_LUNG = 0.1986 * 0.26

_VEIL_CELLS = 28


@dataclass(frozen=True)
class Acquisition:
    """One exposure of a patient: all that changes from image to image.

    Attributes:
        view: PA or AP.
        field: half-width of the picture, in half inner widths of the thorax.
        shift: of the patient in the picture, to the right and downwards, in the same unit.
        top: height of the picture's upper edge above the apex of the lungs, in the same unit.
        tilt: rotation in the picture plane, in degrees.
        rotation: of the patient about the long axis, in radians.
        inspiration: how much lower the diaphragm stands than usual, same unit.
        quanta: mean number of X-ray quanta in a pixel of 1/224 of the picture's width without patient.
        scatter: scattered share of the radiation behind the patient, after the grid.
        gamma: slope of the display curve; higher is harder.
        brightness: display brightness of the mediastinum, 0 to 1.
        detail: gain of the detail enhancement.
        collimation: shutter margins as a share of the picture: left, right, top, bottom.
        marker: R, L or nothing.
        marker_at: centre of the marker as shares of width and height.
        cue: whether a lead tag lies in the lower left corner (a planted shortcut).
        margins: what is shown above, below, left and right of the lungs, as shares of their height and width (a planted
            shortcut); None: the whole field is shown.
    """

    view: str
    field: float
    shift: tuple[float, float]
    top: float
    tilt: float
    rotation: float
    inspiration: float
    quanta: float
    scatter: float
    gamma: float
    brightness: float
    detail: float
    collimation: tuple[float, float, float, float]
    marker: str
    marker_at: tuple[float, float]
    cue: bool = False
    margins: tuple[float, float, float, float] | None = None


def attenuation(paths: Mapping[float, Floats]) -> Floats:
    """Exponent of the Beer-Lambert law: the sum of coefficient times path length over the materials of a ray.

    Args:
        paths: length of the ray in cm in each material, keyed by the material's attenuation coefficient in 1/cm.
    """
    return np.asarray(sum(np.float32(mu) * path for mu, path in paths.items()), np.float32)


def transmission(exponent: Floats) -> Floats:
    """Share of the radiation that passes, by the Beer-Lambert law.

    >>> water = attenuation({0.2: np.array([0.0, 10.0], np.float32)})
    >>> [round(float(share), 4) for share in transmission(water)]
    [1.0, 0.1353]
    """
    return np.asarray(np.exp(-exponent), np.float32)


def expose(primary: Floats, acquisition: Acquisition, noise: Floats) -> Floats:
    """What the detector and its processing make of the primary radiation.

    The scatter is a broad veil under the primary image, the noise that of the counted quanta (the normal limit of
    Poisson), the response logarithmic. Then the usual processing: scaling to the dense parts of the picture, detail
    enhancement by an unsharp mask, display curve, and inversion, so that bone is white.

    Args:
        primary: share of the radiation that passed, square.
        acquisition: the conditions.
        noise: standard normal numbers of the same shape.

    Returns:
        Display values, 0 (black) to 1 (white).
    """
    size = primary.shape[0]
    share = np.float32(acquisition.scatter)
    total = (1 - share) * primary + share * _veil(primary)
    quanta = np.float32(acquisition.quanta * (224 / size) ** 2)
    total += noise * np.sqrt(total / quanta)
    density = -np.log(np.maximum(total, 0.5 / quanta, dtype=np.float32))
    coarse = _cells(density)
    scale = np.float32(1 / max(np.sort(coarse, axis=None)[round(0.9 * coarse.size)], 0.2))
    density *= scale
    smooth = _upscale(_smooth(coarse * scale, 1.3), size)
    density += np.float32(acquisition.detail) * (density - smooth)
    shown = np.maximum(density, 0) ** np.float32(acquisition.gamma) * np.float32(acquisition.brightness)
    # A soft shoulder: nothing but lead is pure white.
    knee = np.float32(0.75)
    excess = np.maximum(shown - knee, 0)
    shown = np.minimum(shown, knee) + excess / (1 + excess / (1 - knee))
    return np.asarray(np.minimum(shown, 1), np.float32)


def shutter(shown: Floats, acquisition: Acquisition) -> None:
    """Blacken what the collimator covered, in place."""
    size = shown.shape[0]
    left, right, top, bottom = (round(margin * size) for margin in acquisition.collimation)
    shown[:top] = 0
    shown[:, :left] = 0
    shown[size - bottom :] = 0
    shown[:, size - right :] = 0


def mark(shown: Floats, acquisition: Acquisition) -> None:
    """Lay the side marker and a planted tag over the picture, in place."""
    if not acquisition.marker and not acquisition.cue:
        return
    size = shown.shape[0]
    picture = Image.new("L", (size, size))
    draw = ImageDraw.Draw(picture)
    if acquisition.marker:
        x, y = (share * size for share in acquisition.marker_at)
        draw.text((x, y), acquisition.marker, fill=255, font=_font(max(round(0.062 * size), 6)), anchor="mm")
    if acquisition.cue:
        low, high = round(0.03 * size), round(0.10 * size)
        draw.rectangle((low, size - high, high, size - low), fill=255)
    np.maximum(shown, np.asarray(picture, np.float32) * np.float32(0.95 / 255), out=shown)


@lru_cache(maxsize=8)
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)


def _veil(primary: Floats) -> Floats:
    """Scattered radiation: the primary, spread over a good part of the picture."""
    return _upscale(_smooth(_cells(primary), 3.0), primary.shape[0])


def _cells(image: Floats) -> Floats:
    """The picture's mean in each of 28 x 28 cells."""
    size = image.shape[0]
    if size % _VEIL_CELLS == 0:
        side = size // _VEIL_CELLS
        # One axis at a time: many times faster than the mean over both.
        rows = image.reshape(_VEIL_CELLS, side, size).sum(axis=1)
        return np.asarray(rows.reshape(_VEIL_CELLS, _VEIL_CELLS, side).sum(axis=2) / np.float32(side * side))
    small = Image.fromarray(image).resize((_VEIL_CELLS, _VEIL_CELLS), Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def _upscale(cells: Floats, size: int) -> Floats:
    return np.asarray(Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC), np.float32)


def _smooth(cells: Floats, sigma: float) -> Floats:
    matrix = _smoothing_matrix(sigma)
    return np.asarray(matrix @ cells @ matrix.T, np.float32)


@lru_cache(maxsize=8)
def _smoothing_matrix(sigma: float) -> Floats:
    """Gaussian smoothing of 28 values as a matrix whose rows sum to one, so that edges need no padding."""
    place = np.arange(_VEIL_CELLS, dtype=np.float32)
    weights = np.exp(-0.5 * ((place[:, None] - place[None, :]) / sigma) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
