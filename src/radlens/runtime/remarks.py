"""What is unusual about a picture, told with the answer: a network answers for anything, a blank page included."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.decode import DecodeError, FileFacts, decode
from radlens.imaging.depth import OUTLIERS, ValueRange, describe_depth
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.imaging.preprocess import Preprocessing

# Limits on the grey levels that the network sees, 0 black to 255 white. Ordinary radiographs stay within them: fewer
# than one in a hundred of Kermany et al. (2018) gets a remark, as the tests check.
BLANK_RANGE = 16
LOW_RANGE = 64
DARK_MEAN = 40
BRIGHT_MEAN = 215
BLACK_SHARE = 0.5
WHITE_SHARE = 0.2
# Share of the contract's width or height that a picture must have, and what makes it colourful: the share of its pixels
# whose red, green and blue lie this far apart.
TINY_SHARE = 0.5
COLOUR_DISTANCE = 32
COLOUR_SHARE = 0.02

_GREY_MODES = frozenset({"1", "L", "LA", "I", "F", "MONOCHROME1", "MONOCHROME2"})
_THUMBNAIL = (64, 64)


def remarks_of(
    pixels: npt.NDArray[np.uint8],
    contract: Preprocessing,
    facts: FileFacts | None = None,
    *,
    is_colourful: bool = False,
) -> tuple[str, ...]:
    """Short remarks on the quality of one picture; none for an ordinary one.

    Args:
        pixels: shape (channels, height, width), as the contract gives them.
        contract: what they were made by.
        facts: of the file, where there was one.
        is_colourful: whether the picture shows colours (:func:`is_colourful`); a remark where grey is expected.

    >>> remarks_of(np.zeros((1, 150, 150), np.uint8), Preprocessing())
    ('nearly blank',)
    """
    remarks = list(_remarks_on_levels(_without_padding(pixels) if contract.fit == "pad" else pixels))
    remarks += facts.remarks if facts is not None else ()
    if facts is not None and (facts.width < TINY_SHARE * contract.width or facts.height < TINY_SHARE * contract.height):
        remarks.append(f"tiny, {facts.width} x {facts.height} pixels")
    if is_colourful and contract.channels == 1:
        remarks.append("in colour where grey is expected")
    if facts is not None:
        remarks += _remarks_on_depth(facts, contract)
    return tuple(remarks)


def is_colourful(location: str, content: bytes | None, facts: FileFacts, limits: DecodeLimits = DEFAULT_LIMITS) -> bool:
    """Whether a file shows colours, and not only stores grey as red, green and blue; costs a decoding where it may.

    Of DICOM files the form alone is known, for their colours become grey in decoding; a palette may be grey too.
    """
    if facts.mode.partition(";")[0] in _GREY_MODES:
        return False
    if facts.format == "DICOM":
        return facts.mode != "PALETTE COLOR"
    try:
        return shows_colours(decode(location, content, _THUMBNAIL, limits).image)
    except DecodeError:
        return False


def shows_colours(picture: Image.Image) -> bool:
    """Whether a picture has colours to be seen, of mode ``L`` or ``RGB``."""
    if picture.mode != "RGB":
        return False
    channels = np.asarray(picture.resize(_THUMBNAIL), dtype=np.int16)
    return bool((np.ptp(channels, axis=2) >= COLOUR_DISTANCE).mean() >= COLOUR_SHARE)


def _remarks_on_levels(pixels: npt.NDArray[np.uint8]) -> list[str]:
    share = np.bincount(pixels.ravel(), minlength=256) / max(1, pixels.size)
    low, high = np.searchsorted(share.cumsum(), (0.02, 0.98))
    mean = float(share @ np.arange(256))
    if high - low < BLANK_RANGE:
        return ["nearly blank"]
    remarks = []
    if high - low < LOW_RANGE:
        remarks.append("low contrast")
    if mean < DARK_MEAN:
        remarks.append("very dark")
    if mean > BRIGHT_MEAN:
        remarks.append("very bright")
    if share[0] > BLACK_SHARE:
        remarks.append(f"clipped, {share[0]:.0%} black")
    if share[255] > WHITE_SHARE:
        remarks.append(f"clipped, {share[255]:.0%} white")
    return remarks


def _remarks_on_depth(facts: FileFacts, contract: Preprocessing) -> list[str]:
    """Whether values of more than 8 bits fit the scale that was recorded, if one was."""
    values = facts.values
    if isinstance(contract.depth, str):
        guessed = contract.depth in ("auto", "significant")
        return [f"{_own_scale(values)}, since training recorded none"] if values is not None and guessed else []
    if facts.clipped > OUTLIERS:
        return [f"brighter than in training, {facts.clipped:.0%} clipped ({describe_depth(contract.depth)})"]
    if isinstance(contract.depth, int) and values is not None and values.kind != "uint16":
        return [f"{_own_scale(values)}, since training recorded one for 16 bits alone"]
    return []


def _own_scale(values: ValueRange) -> str:
    if values.kind == "uint16":
        return f"depth told by the picture itself ({values.bits} bits)"
    return f"values of type {values.kind} scaled by their own range"


def _without_padding(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The part within the black bars that the contract has put around the picture."""
    _, rows, columns = pixels.nonzero()
    if not rows.size:
        return pixels
    return pixels[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
