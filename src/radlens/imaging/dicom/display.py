"""From stored values to display-ready grey: modality LUT, VOI LUT or window, polarity; and from colours to grey."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.dicom.lut import MAX_ENTRIES, read_lut, read_palette
from radlens.imaging.dicom.pixel_form import PixelForm
from radlens.imaging.dicom.stored_bits import Values, blocks
from radlens.imaging.limits import RefusedError

Floats = npt.NDArray[np.float64]
Mapping = Callable[[Floats], Floats]

# Of these X-ray classes (XA, XRF, XA biplane) the modality LUT leads back to intensities and is not for display
# (DICOM PS3.3 C.8.7.1.1.2).
_NOT_FOR_DISPLAY = frozenset(f"1.2.840.10008.5.1.4.1.1.12.{number}" for number in (1, 2, 3))
_NOT_FINITE = "the values are not finite after rescaling"


def render_grey(file: DicomFile, values: Values, form: PixelForm) -> npt.NDArray[np.uint8]:
    """Show stored grey values as a workstation would by default.

    The modality LUT, or slope and intercept, are applied; then the first VOI LUT, or else the first window, or else
    the range from the smallest to the largest value. MONOCHROME1 and an INVERSE presentation LUT shape turn the result
    over, once if both are there (PS3.3 C.11.1, C.11.2, C.11.6, C.7.6.3.1.2). An IDENTITY with MONOCHROME1, which the
    standard rules out, is not believed: writers err in it (dcm4che/dcm4chee-arc-light issue 3155), though dcmtk takes
    it at its word. Pixel padding is black and does not count in the range (PS3.3 C.7.5.1.1.2). Overlays are not drawn.

    Returns:
        uint8, shape (rows, columns), 0 black to 255 white.

    Raises:
        RefusedError: an element is damaged, contradictory or not finite.
    """
    modality = _modality(file, form)
    extents = [extent for part in _occurring(values) if (extent := _extent(part, modality, form)) is not None]
    if not extents:
        return np.zeros(values.shape, dtype=np.uint8)
    low, high = min(extent[0] for extent in extents), max(extent[1] for extent in extents)
    if not math.isfinite(high - low):
        raise RefusedError(_NOT_FINITE)
    value_of_interest = _value_of_interest(file, low, high)
    inverted = form.interpretation == "MONOCHROME1" or file.text("PresentationLUTShape") == "INVERSE"

    def levels(stored: Values) -> npt.NDArray[np.uint8]:
        share = value_of_interest(np.clip(modality(stored.astype(np.float64)), low, high))
        grey = np.floor((1.0 - share if inverted else share) * 255.0 + 0.5).astype(np.uint8)
        grey[form.is_padding(stored)] = 0
        return grey

    return _by_value(values, levels)


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


def window(values: Floats, centre: float, width: float, function: str = "LINEAR") -> Floats:
    """Apply a window: values to the share of the grey range, 0 to 1 (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Raises:
        RefusedError: the width is too small for the function, or the function is unknown.

    >>> window(np.array([-1.0, 2048.0, 5000.0]), 2048.0, 4096.0, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise RefusedError("the VOI LUT function is none of LINEAR, LINEAR_EXACT and SIGMOID")
    if not np.isfinite(centre) or not np.isfinite(width) or width < (1 if function == "LINEAR" else 0) or width == 0:
        raise RefusedError(f"window centre {centre} and width {width} cannot be used with {function}")
    if function == "SIGMOID":
        # 1 / (1 + exp(-4 x)), in a form that does not overflow.
        return np.asarray(0.5 + 0.5 * np.tanh(2.0 * ((values - centre) / width)))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return np.asarray(values > centre - 0.5, dtype=np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


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


def _modality(file: DicomFile, form: PixelForm) -> Mapping:
    """The modality LUT, or slope and intercept if both are there."""
    if file.text("SOPClassUID") in _NOT_FOR_DISPLAY:
        return _as_it_is
    if file.has_table("ModalityLUTSequence"):
        return read_lut(file, "ModalityLUTSequence", form.lowest).look_up
    slope, intercept = file.number("RescaleSlope"), file.number("RescaleIntercept")
    if slope is None or intercept is None:
        return _as_it_is
    if slope == 0:
        raise RefusedError("RescaleSlope is 0: it makes one grey of all values")

    def rescale(values: Floats) -> Floats:
        return values * slope + intercept

    return rescale


def _value_of_interest(file: DicomFile, low: float, high: float) -> Mapping:
    """Values to the share of the grey range, 0 to 1: by the first VOI LUT, the first window, or the range of values."""
    if file.has_table("VOILUTSequence"):
        table = read_lut(file, "VOILUTSequence", low)
        return lambda values: table.look_up(values) / table.highest
    centre, width = file.number("WindowCenter"), file.number("WindowWidth")
    if centre is not None and width is not None:
        function = file.text("VOILUTFunction") or "LINEAR"
        return lambda values: window(values, centre, width, function)
    # One grey is shown black.
    return lambda values: (values - low) / (high - low or 1.0)


def _as_it_is(values: Floats) -> Floats:
    return values


def _luminance(picture: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(picture.convert("L"))
