"""How far the values of pictures reach that declare no depth, and one decision on their scale for a whole data set.

Sixteen-bit files often hold 10, 12 or 14 bits and do not say so. Guessed for each picture by its largest value, one
pixel too bright makes a picture four times darker than its neighbours; so the scale is decided once, from many images,
and recorded in the preprocessing contract. What few pixels hold (a saturated detector element, a burned-in label) has
no say in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

# A number of bits, or the values of black and white, is one scale for all images; the words are rules for each.
Bits = Annotated[int, Field(ge=8, le=16)]
Depth: TypeAlias = Literal["auto", "significant", "full", "range"] | Bits | tuple[float, float]

BITS = (8, 10, 12, 14, 16)
# Of a picture's values, what may lie above its range: the pixels of a label or a defect of the detector.
OUTLIERS = 0.005
# Of the images, what may reach further than the scale: files of another kind that have strayed into a set.
STRAY_IMAGES = 0.05
# A label or a marker covers no more; what covers more belongs to the picture, as air around a chest does.
_LARGEST_LABEL = 0.05
_SAMPLED_VALUES = 2**20
# The largest values that floating-point, signed and 32-bit pictures are written with by habit.
_USUAL_WHITE = (1, *(2**bits - 1 for bits in BITS))


class ValueRange(NamedTuple):
    """How far the values of a picture reach, but for outliers.

    Attributes:
        kind: NumPy's name of their type.
        low: the value that all but a few reach.
        high: the value that all but a few stay within.
    """

    kind: str
    low: float
    high: float

    @property
    def bits(self) -> int:
        """The fewest usual bits that hold the largest value."""
        return usual_bits(self.high)


def usual_bits(value: float) -> int:
    """The fewest of 8, 10, 12, 14 and 16 bits that hold a value.

    >>> usual_bits(255), usual_bits(4095), usual_bits(4096)
    (8, 12, 14)
    """
    return next((bits for bits in BITS if value <= 2**bits - 1), BITS[-1])


def range_of(values: npt.NDArray[Any]) -> ValueRange:
    """How far finite values reach; those of a label or a few single pixels left out.

    Of 16-bit values the darkest and the brightest are set aside, these if they are no more than a label: the largest
    that the container holds, or one that few pixels have.

    >>> picture = np.arange(4000, dtype=np.uint16)
    >>> picture[0] = 60_000
    >>> range_of(picture)
    ValueRange(kind='uint16', low=21.0, high=3980.0)
    """
    if values.dtype != np.uint16:
        step = -(-values.size // _SAMPLED_VALUES)
        low, high = np.quantile(values.ravel()[::step].astype(np.float64), (OUTLIERS, 1 - OUTLIERS))
        return ValueRange(values.dtype.name, float(low), float(high))
    counts = np.bincount(values.ravel(), minlength=2**16)
    occurring = np.flatnonzero(counts)
    darkest, brightest = occurring[0], occurring[-1]
    is_label = brightest == 2**16 - 1 or counts[brightest] <= _LARGEST_LABEL * values.size
    if len(occurring) > 2:
        counts[darkest] = 0
    if len(occurring) > 2 and is_label:
        counts[brightest] = 0
    share = counts.cumsum() / counts.sum()
    low, high = np.searchsorted(share, (OUTLIERS, 1 - OUTLIERS))
    return ValueRange("uint16", float(low), float(high))


def decide_depth(ranges: Sequence[ValueRange]) -> Depth:
    """One scale for all images of a set that declare none, from those that were looked at.

    Of 16-bit unsigned values: the fewest usual bits that hold the values of 95 % of the images. Of others (signed,
    32-bit, floating-point), where these are more: the values of black and white; 0 and 1, 255, 1,023, 4,095, 16,383 or
    65,535 where the images come near it, else how far they reach.

    Returns:
        ``significant`` where there is nothing to decide on.

    >>> decide_depth([ValueRange("uint16", 0, 3900)] * 19 + [ValueRange("uint16", 0, 60_000)])
    12
    >>> decide_depth([ValueRange("float32", 0, 0.8)])
    (0.0, 1.0)
    """
    if not ranges:
        return "significant"
    unsigned = [values for values in ranges if values.kind == "uint16"]
    if 2 * len(unsigned) >= len(ranges):
        return usual_bits(_reached([values.high for values in unsigned]))
    others = [values for values in ranges if values.kind != "uint16"]
    low, high = -_reached([-values.low for values in others]), _reached([values.high for values in others])
    white = next((white for white in _USUAL_WHITE if white / 4 < high <= white), None)
    if low >= 0 and white is not None:
        return 0.0, float(white)
    return (low, high) if low < high else "significant"


def describe_depth(depth: Depth) -> str:
    """The scale in words.

    >>> describe_depth(12), describe_depth((-1000.0, 400.0))
    ('black at 0, white at 4,095 (12 bits)', 'black at -1,000, white at 400')
    """
    if isinstance(depth, tuple):
        return f"black at {depth[0]:,.6g}, white at {depth[1]:,.6g}"
    if isinstance(depth, int):
        return f"black at 0, white at {2**depth - 1:,} ({depth} bits)"
    return {"full": "white at the largest value of the container"}.get(depth, "each by its own values")


def _reached(values: Sequence[float]) -> float:
    """The smallest of the values that all but the stray ones stay within."""
    return float(np.quantile(values, 1 - STRAY_IMAGES, method="inverted_cdf"))
