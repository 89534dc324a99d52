"""From stored values to a display-ready picture: 8 bits, bone bright, nothing transparent, upright."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.depth import Depth, range_of
from radlens.imaging.formats.stored import Stored
from radlens.imaging.limits import RefusedError

Box = tuple[float, float, float, float]

_ROWS = 256
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def displayed(stored: Stored, depth: Depth = "significant") -> Image.Image:
    """The picture as it is to be seen, in the orientation it is stored in: mode ``L`` or ``RGB``, 8 bits.

    0 is black and 255 white; where the file says that 0 is white, the values are inverted. What is transparent lies
    on black, unless the whole picture is: then its transparency means nothing. Values of more than 8 bits are scaled
    as ``depth`` says:

    - a number of bits, or the values of black and white: the scale that was decided for the whole data set
      (:func:`radlens.imaging.depth.decide_depth`), for values whose depth the file does not declare. What lies outside
      is clipped. A number of bits is for unsigned values of 16 bits alone.
    - ``significant``, and ``auto`` where nothing was decided: from 0 to the largest value of the significant bits.
      These are what a PNG's ``sBIT`` or a TIFF's bits per sample or ``MaxSampleValue`` declare, else the smallest of
      8, 10, 12, 14 and 16 that holds the picture's values but for outliers; so 12 bits in a container of 16 do not
      come out dark. More than a few values above what is declared mean that they were scaled to the whole container,
      as the PNG standard asks for.
    - ``full``: from 0 to the largest value that the container holds.
    - ``range``: from the picture's smallest value to its largest. So are signed, 32-bit and floating values, which have
      no nominal range, unless the values of black and white were decided.

    Raises:
        RefusedError: a value is not a finite number.
    """
    if isinstance(stored.pixels, Image.Image):
        picture = _to_eight_bit(stored.pixels, stored.transparent)
    else:
        picture = _from_wide(stored, stored.pixels, depth)
    return picture.point(range(255, -1, -1)) if stored.inverted else picture


def upright(picture: Image.Image, orientation: int, box: Box) -> tuple[Image.Image, Box]:
    """Undo the camera's orientation, of a picture and of a box in it (left, upper, right, lower)."""
    if orientation == 1:
        return picture, box
    width, height = picture.size
    left, upper, right, lower = box
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        upper, lower = height - lower, height - upper
    turned = (upper, left, lower, right) if orientation >= 5 else (left, upper, right, lower)
    return picture.transpose(_UPRIGHT[orientation]), turned


def _to_eight_bit(picture: Image.Image, transparent: tuple[int, ...] | None) -> Image.Image:
    if picture.mode == "1":
        picture = picture.convert("L")
    if transparent is not None:
        return _blacked_out(picture, transparent)
    if picture.mode in ("L", "RGB"):
        return picture
    if picture.mode == "P" and "transparency" not in picture.info:
        return picture.convert("L" if _palette_is_grey(picture) else "RGB")
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA")
    if picture.mode in ("LA", "RGBA"):
        return _on_black(picture)
    return picture.convert("RGB")


def _on_black(picture: Image.Image) -> Image.Image:
    """Multiply the colours with their alpha and drop it."""
    lowest, highest = picture.getchannel("A").getextrema()
    if lowest != 255 and highest != 0:
        picture = picture.convert("La" if picture.mode == "LA" else "RGBa")
    channels = picture.split()[:-1]
    return channels[0] if len(channels) == 1 else Image.merge("RGB", channels)


def _blacked_out(picture: Image.Image, transparent: tuple[int, ...]) -> Image.Image:
    """The transparent grey or colour made black."""
    if picture.mode == "L":
        return picture.point([0 if level == transparent[0] else level for level in range(256)])
    pixels = np.array(picture)
    pixels[(pixels == transparent).all(axis=-1)] = 0
    return Image.fromarray(pixels)


def _palette_is_grey(picture: Image.Image) -> bool:
    palette = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _from_wide(stored: Stored, wide: npt.NDArray[np.generic], depth: Depth) -> Image.Image:
    if wide.dtype != np.uint16:
        return Image.fromarray(_stretched(wide, *black_and_white(stored, wide, depth)))
    values = wide.view(np.uint16)
    has_alpha = values.ndim == 3 and values.shape[2] in (2, 4)
    colours = values[..., :-1] if has_alpha else values
    low, high = black_and_white(stored, colours, depth)
    span = max(high - low, 1)
    levels = np.clip((np.arange(2**16, dtype=np.float64) - low) * 255 / span, 0, 255)
    table = (levels + 0.5).astype(np.uint8)
    shown = table[values]
    if stored.transparent is not None:
        hidden = colours == np.array(stored.transparent if values.ndim == 3 else stored.transparent[0])
        shown[hidden.all(axis=-1) if values.ndim == 3 else hidden] = 0
    if not has_alpha:
        return Image.fromarray(shown)
    shown[..., -1] = values[..., -1] >> 8
    return _on_black(Image.fromarray(shown, "LA" if values.shape[2] == 2 else "RGBA"))


def black_and_white(stored: Stored, values: npt.NDArray[Any], depth: Depth) -> tuple[float, float]:
    """The values that become black and white, of wide values without their alpha; see :func:`displayed`."""
    if values.dtype != np.uint16:
        return depth if isinstance(depth, tuple) else (float(values.min()), float(values.max()))
    if depth == "range":
        return int(values.min()), int(values.max())
    if depth == "full":
        return 0, 2**stored.container - 1
    if stored.declared:
        fits = range_of(values).high < 2**stored.declared
        return 0, 2 ** (stored.declared if fits else stored.container) - 1
    if isinstance(depth, tuple):
        return depth
    return 0, 2 ** (depth if isinstance(depth, int) else range_of(values).bits) - 1


def _stretched(values: npt.NDArray[np.generic], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Linear from black to white onto 0 to 255, a few rows at a time to save memory."""
    # Neither an infinity nor a NaN can hide from both extremes.
    if not np.isfinite([low, high, float(values.min()), float(values.max())]).all():
        raise RefusedError("a pixel value is not a finite number")
    scale = 255.0 / (high - low) if high > low else 0.0
    shown = np.empty(values.shape, dtype=np.uint8)
    for row in range(0, len(values), _ROWS):
        levels = (values[row : row + _ROWS].astype(np.float64) - low) * scale
        shown[row : row + _ROWS] = np.clip(levels, 0, 255) + 0.5
    return shown
