"""From a DICOM file to a display-ready grey picture.

The way is through these modules: ``elements`` reads the elements that decide the picture, and ``file`` gives them as
numbers and codes; ``pixels`` and ``codecs`` find the stored values, ``lut`` and ``display`` what is shown of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.depth import Depth
from radlens.imaging.dicom.display import render_colour, render_grey, render_palette
from radlens.imaging.dicom.encoding import uid_name
from radlens.imaging.dicom.file import DicomFile, read_dicom
from radlens.imaging.dicom.pixel_form import COLOUR, PALETTE, PixelForm, read_form
from radlens.imaging.dicom.pixels import read_values
from radlens.imaging.dicom.undeclared import UndeclaredScale
from radlens.imaging.limits import DEFAULT_LIMITS, DamagedError, DecodeError, DecodeLimits, RefusedError


class DicomPicture(NamedTuple):
    """A rendered image, and what is known of its file.

    Attributes:
        image: mode ``L``, 8 bit.
        width: as it is stored.
        height: as it is stored.
        interpretation: photometric interpretation.
        compression: name of the transfer syntax.
        remarks: what is wrong with the header and did not keep the picture from being shown; what comes before a colon
            names the kind of fault.
        scale: of values whose bits the header does not declare, where no window says how to show them.
    """

    image: Image.Image
    width: int
    height: int
    interpretation: str
    compression: str
    remarks: tuple[str, ...]
    scale: UndeclaredScale | None


def decode_dicom(
    location: str, content: bytes, limits: DecodeLimits = DEFAULT_LIMITS, depth: Depth = "significant"
) -> DicomPicture:
    """Render a single-frame DICOM image as a workstation would by default.

    Bone is white in all that comes out, see :func:`radlens.imaging.dicom.display.render_grey`. Colours become their
    luminance.

    Args:
        location: named in errors.
        content: the file.
        limits: bounds on it, checked before memory is spent.
        depth: how values are scaled whose bits the header does not declare.

    Raises:
        DecodeError: no single-frame image, no pixel data, a transfer syntax without decoder, or damaged values.
        RadlensError: pydicom or imagecodecs is not installed.
    """
    try:
        # Impossible numbers are refused where they arise; NumPy need not warn of them as well.
        with np.errstate(all="ignore"):
            file = read_dicom(content, limits)
            _require_picture(file)
            form = read_form(file, limits)
            levels, scale = _render(file, form, depth)
            image = Image.fromarray(levels)
            syntax = uid_name(file.syntax, "")
            remarks = tuple(file.remarks)
            return DicomPicture(image, form.columns, form.rows, form.interpretation, syntax, remarks, scale)
    except DamagedError as error:
        raise DecodeError(f"{location}: the DICOM image is damaged ({error})") from error
    except RefusedError as error:
        raise DecodeError(f"{location}: the DICOM image cannot be decoded: {error}") from None


def _require_picture(file: DicomFile) -> None:
    if file.element("PixelData") is not None:
        return
    if file.element("FloatPixelData") is not None or file.element("DoubleFloatPixelData") is not None:
        raise RefusedError("its values are floating-point numbers, which have no grey to be displayed with")
    kind = uid_name(file.text("SOPClassUID"), "of no known kind")
    raise RefusedError(f"the object ({kind}) holds no pixel data, or was cut short before them")


def _render(file: DicomFile, form: PixelForm, depth: Depth) -> tuple[npt.NDArray[np.uint8], UndeclaredScale | None]:
    values, form, ybr = read_values(file, form)
    if form.interpretation in COLOUR:
        return render_colour(values, form, ybr=ybr), None
    if form.interpretation == PALETTE:
        return render_palette(file, values, form), None
    return render_grey(file, values, form, depth)
