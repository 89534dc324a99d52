"""From stored values to display-ready grey: modality LUT, VOI LUT or window, polarity; and from colours to grey."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.depth import Depth
from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.dicom.lut import MAX_ENTRIES, read_lut, read_palette
from radlens.imaging.dicom.pixel_form import PixelForm
from radlens.imaging.dicom.polarity import is_turned_over
from radlens.imaging.dicom.stored_bits import Values, blocks
from radlens.imaging.dicom.undeclared import UndeclaredScale, undeclared_scale
from radlens.imaging.dicom.value_of_interest import Floats, Mapping, value_of_interest
from radlens.imaging.limits import RefusedError

# Of these X-ray classes (XA, XRF, XA biplane) the modality LUT leads back to intensities and is not for display
# (DICOM PS3.3 C.8.7.1.1.2).
_NOT_FOR_DISPLAY = frozenset(f"1.2.840.10008.5.1.4.1.1.12.{number}" for number in (1, 2, 3))
_NOT_FINITE = "the values are not finite after rescaling"


def render_grey(
    file: DicomFile, values: Values, form: PixelForm, depth: Depth = "significant"
) -> tuple[npt.NDArray[np.uint8], UndeclaredScale | None]:
    """Show stored grey values as a workstation would by default.

    The modality LUT, or slope and intercept, are applied; then the first VOI LUT, or else the first window that can be
    used, or else the range from the smallest to the largest value; where the header does not say how many bits a value
    has, the scale of the data set instead (:func:`radlens.imaging.dicom.undeclared.undeclared_scale`). MONOCHROME1 and
    an INVERSE presentation LUT shape turn the result over, once if both are there (PS3.3 C.11.1, C.11.2, C.11.6,
    C.7.6.3.1.2). An IDENTITY with MONOCHROME1, which the standard rules out, is not believed: writers err in it
    (dcm4che/dcm4chee-arc-light issue 3155), though dcmtk takes it at its word. Pixel padding is black and does not
    count in the range (PS3.3 C.7.5.1.1.2). Overlays are not drawn. Raw values of the detector are turned as their
    relation to the X-ray intensity asks for (:func:`radlens.imaging.dicom.polarity.is_turned_over`).

    Returns:
        uint8, shape (rows, columns), 0 black to 255 white; and that scale, where it was taken.

    Raises:
        RefusedError: an element that gives the values their meaning is damaged, contradictory or not finite, and the
            limits do not allow to go on without it.
    """
    modality, extent, holds = _usable_modality(file, values, form)
    if extent is None:
        return np.zeros(values.shape, dtype=np.uint8), None
    low, high = extent
    show, scale = value_of_interest(file, low, rescaling_holds=holds), None
    if show is None:
        scale = undeclared_scale(values, form, depth)
        ends_of_scale = extent if scale is None else sorted(modality(np.array([scale.black, scale.white])).tolist())
        show = _linear(*ends_of_scale)
    ends = show(np.clip(modality(np.array([values.min(), values.max()], dtype=np.float64)), low, high))
    inverted = is_turned_over(file, form, rising=bool(ends[1] >= ends[0]))

    def levels(stored: Values) -> npt.NDArray[np.uint8]:
        share = show(np.clip(modality(stored.astype(np.float64)), low, high))
        grey = np.floor((1.0 - share if inverted else share) * 255.0 + 0.5).astype(np.uint8)
        grey[form.is_padding(stored)] = 0
        return grey

    return _by_value(values, levels), scale


def render_palette(file: DicomFile, values: Values, form: PixelForm) -> npt.NDArray[np.uint8]:
    """The luminance of indexed colours; uint8, shape (rows, columns).

    Raises:
        RefusedError: the palette is incomplete or contradictory.
    """
    first, colours = read_palette(file, form.lowest)
    grey = _luminance(Image.fromarray(colours[np.newaxis]))[0]

    def levels(stored: Values) -> npt.NDArray[np.uint8]:
        return np.asarray(grey[np.clip(stored.astype(np.int64) - first, 0, len(grey) - 1)])

    return _by_value(values, levels)


def render_colour(values: Values, form: PixelForm, *, ybr: bool) -> npt.NDArray[np.uint8]:
    """The luminance of colours (ITU-R BT.601), after conversion to red, green and blue; uint8, shape (rows, columns).

    Args:
        values: shape (rows, columns, 3), red, green and blue, or luminance and two colour differences.
        form: how they are stored.
        ybr: which of the two.
    """
    if form.stored == 8:
        colours = np.ascontiguousarray(values, dtype=np.uint8)
    else:
        scale = 255.0 / form.highest
        colours = np.empty(values.shape, dtype=np.uint8)
        for rows in blocks(values):
            colours[rows] = np.floor(values[rows] * scale + 0.5)
    size = (form.columns, form.rows)
    return _luminance(Image.frombytes("YCbCr" if ybr else "RGB", size, colours.tobytes()).convert("RGB"))


def _by_value(values: Values, levels: Callable[[Values], npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """The grey of each value; worked out once for each that can occur, unless there are too many."""
    low, high = int(values.min()), int(values.max())
    table = levels(np.arange(low, high + 1)) if high - low < MAX_ENTRIES else None
    shown = np.empty(values.shape, dtype=np.uint8)
    for rows in blocks(values):
        shown[rows] = levels(values[rows]) if table is None else table[values[rows].astype(np.intp) - low]
    return shown


def _occurring(values: Values) -> Iterator[Values]:
    """The values that occur, each once if there are not too many."""
    low, high = int(values.min()), int(values.max())
    if high - low >= MAX_ENTRIES:
        yield from (values[rows] for rows in blocks(values))
        return
    present = np.zeros(high - low + 1, dtype=bool)
    for rows in blocks(values):
        present[values[rows].astype(np.intp) - low] = True
    yield np.flatnonzero(present) + low


def _extent(stored: Values, modality: Mapping, form: PixelForm) -> tuple[float, float] | None:
    """The smallest and largest value after the modality LUT, padding left out; None if there is nothing but padding."""
    picture = stored[~form.is_padding(stored)]
    if not picture.size:
        return None
    values = modality(picture.astype(np.float64))
    if not np.isfinite(values).all():
        raise RefusedError(_NOT_FINITE)
    return float(values.min()), float(values.max())


def _usable_modality(
    file: DicomFile, values: Values, form: PixelForm
) -> tuple[Mapping, tuple[float, float] | None, bool]:
    """The modality transform, the range of values after it (None: nothing but padding), and whether it is the file's.

    Raises:
        RefusedError: it cannot be used, and the limits do not allow to go on without it.
    """
    try:
        modality = _modality(file, form)
        return modality, _range(values, modality, form), True
    except RefusedError as error:
        file.pass_over("rescaling", error)
        return _as_it_is, _range(values, _as_it_is, form), False


def _range(values: Values, modality: Mapping, form: PixelForm) -> tuple[float, float] | None:
    extents = [extent for part in _occurring(values) if (extent := _extent(part, modality, form)) is not None]
    if not extents:
        return None
    low, high = min(extent[0] for extent in extents), max(extent[1] for extent in extents)
    if not math.isfinite(high - low):
        raise RefusedError(_NOT_FINITE)
    return low, high


def _modality(file: DicomFile, form: PixelForm) -> Mapping:
    """The modality LUT, or slope and intercept if both are there."""
    if file.text("SOPClassUID") in _NOT_FOR_DISPLAY:
        return _as_it_is
    if file.has_table("ModalityLUTSequence"):
        return read_lut(file, "ModalityLUTSequence", form.lowest).look_up
    slope, intercept = file.number("RescaleSlope"), file.number("RescaleIntercept")
    if slope is None or intercept is None:
        if slope != intercept:
            file.remark("rescaling passed over: Rescale Slope or Rescale Intercept is missing")
        return _as_it_is
    if slope == 0:
        raise RefusedError("RescaleSlope is 0: it makes one grey of all values")

    def rescale(values: Floats) -> Floats:
        return values * slope + intercept

    return rescale


def _linear(black: float, white: float) -> Mapping:
    # One grey is shown black.
    return lambda values: np.clip((values - black) / (white - black or 1.0), 0.0, 1.0)


def _as_it_is(values: Floats) -> Floats:
    return values


def _luminance(picture: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(picture.convert("L"))
