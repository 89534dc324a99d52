"""From the grid of path lengths to the picture: the tilt of the patient, and the window that is shown."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.dataset.phantom.anatomy import Floats
from radlens.imaging.framing import Framing

Mask = npt.NDArray[np.bool_]

WHOLE = Framing()
# A tight window is about this share of the picture, whose grid is finer by as much: no detail is lost in it.
_TIGHT = 0.8


def grid_size(size: int, margins: tuple[float, float, float, float] | None) -> int:
    """Side of the whole picture, in pixels, of which a window of this size is shown.

    >>> grid_size(224, None), grid_size(224, (0.0, 0.0, 0.0, 0.0))
    (224, 280)
    """
    return size if margins is None else round(size / _TIGHT)


def window_around(lungs: Mask, margins: tuple[float, float, float, float] | None) -> Framing:
    """The window that shows the lungs and so much beyond them, but never more than the picture.

    Args:
        lungs: where the lungs are in the picture, shape (height, width).
        margins: above, below, left and right of them, as shares of their height and width; None: the whole picture.
    """
    if margins is None or not lungs.any():
        return WHOLE
    edges = []
    for axis, (before, after) in ((1, margins[:2]), (0, margins[2:])):
        places = np.flatnonzero(lungs.any(axis=axis))
        first, last, side = int(places[0]), int(places[-1]) + 1, lungs.shape[1 - axis]
        length = last - first
        edges += [max((first - before * length) / side, 0.0), min((last + after * length) / side, 1.0)]
    return Framing(*edges)


def show(field: Floats, degrees: float, side: int, size: int, window: Framing = WHOLE) -> Floats:
    """Turn a field of the padded grid about its centre, and sample the window of the picture.

    Args:
        field: shape (n, n), the picture with a margin.
        degrees: by which the patient is tilted.
        side: of the whole picture in pixels of the field.
        size: of the result, shape (size, size).
        window: what part of the picture is shown.
    """
    shown = _transform(Image.fromarray(field), degrees, side, size, window, Image.Resampling.BICUBIC)
    return np.asarray(shown, np.float32)


def show_mask(mask: Mask, degrees: float, side: int, size: int, window: Framing = WHOLE) -> Mask:
    """The same for a mask; see :func:`show`."""
    picture = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(_transform(picture, degrees, side, size, window, Image.Resampling.NEAREST), np.bool_)


def _transform(
    picture: Image.Image, degrees: float, side: int, size: int, window: Framing, how: Image.Resampling
) -> Image.Image:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre, middle = picture.width / 2, side / 2
    across, down = (window.right - window.left) * side / size, (window.bottom - window.top) * side / size
    left, top = window.left * side, window.top * side
    matrix = (
        cos * across,
        sin * down,
        cos * left + sin * top + (centre - middle * (cos + sin)),
        -sin * across,
        cos * down,
        cos * top - sin * left + (centre - middle * (cos - sin)),
    )
    return picture.transform((size, size), Image.Transform.AFFINE, matrix, how)
