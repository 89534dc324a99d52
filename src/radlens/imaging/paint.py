"""A map of values over the picture that it was made of: red where they are above 0, blue where they are below."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.preprocess import Preprocessing, preprocess_box

FOR, AGAINST = (235, 45, 30), (30, 90, 235)
# Opacity of the largest value of a map; the picture stays to be seen below.
OPACITY = 0.55


def paint(picture: Image.Image, values: npt.NDArray[np.floating], contract: Preprocessing) -> Image.Image:
    """Lay a map over a picture, at the picture's own size.

    Args:
        picture: any mode that turns into colours.
        values: shape (rows, columns), of what the contract made of the picture; the largest of either sign has the full
            colour.
        contract: the preprocessing of the picture; where it cut the picture off, nothing is painted.

    Returns:
        Mode ``RGB``.
    """
    largest = float(np.abs(values).max()) or 1.0
    shown = picture.convert("RGB")
    for colour, part in ((FOR, values), (AGAINST, -values)):
        shown.paste(colour, (0, 0), _spread(np.clip(part / largest, 0, 1), picture.size, contract))
    return shown


def _spread(values: npt.NDArray[np.floating], size: tuple[int, int], contract: Preprocessing) -> Image.Image:
    """The values, 0 to 1, as opacity over the whole picture; none where the contract cut the picture off."""
    levels = Image.fromarray((values * 255 * OPACITY + 0.5).astype(np.uint8))
    seen, covered = preprocess_box(contract, size)
    scale = levels.width / contract.width, levels.height / contract.height
    box = (covered[0] * scale[0], covered[1] * scale[1], covered[2] * scale[0], covered[3] * scale[1])
    left, upper, right, lower = (round(edge) for edge in seen)
    inner = levels.resize((max(1, right - left), max(1, lower - upper)), Image.Resampling.BICUBIC, box=box)
    mask = Image.new("L", size)
    mask.paste(inner, (left, upper))
    return mask
