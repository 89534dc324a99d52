"""The scale of grey values of which the header does not say how many bits they have."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from radlens.imaging.depth import Depth, ValueRange, range_of
from radlens.imaging.dicom.pixel_form import PixelForm
from radlens.imaging.dicom.stored_bits import Values
from radlens.imaging.display import black_and_white
from radlens.imaging.formats.stored import Stored


class UndeclaredScale(NamedTuple):
    """What becomes black and white, as for pictures of other formats that declare no depth.

    Attributes:
        values: how far the stored values reach.
        black: the stored value that becomes black.
        white: the one that becomes white.
        clipped: share of the values that are brighter.
    """

    values: ValueRange
    black: float
    white: float
    clipped: float


def undeclared_scale(values: Values, form: PixelForm, depth: Depth) -> UndeclaredScale | None:
    """The scale for values of 16 bits allocated; None where the header declares their bits, or they take more or fewer.

    Args:
        values: as they are stored, not all of them padding.
        form: how they are stored.
        depth: what was decided for the data set; see :func:`radlens.imaging.display.displayed`.
    """
    if form.declared or form.allocated != 16:
        return None
    picture = values[~form.is_padding(values)].astype(np.int16 if form.signed else np.uint16)
    black, white = black_and_white(Stored(picture, form.columns, form.rows, "", ""), picture, depth)
    return UndeclaredScale(range_of(picture), black, white, float((picture > white).mean()))
