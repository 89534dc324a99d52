"""From a DICOM file to a display-ready grey picture.

The way is through these modules: ``dicom_file`` and ``dicom_inflate`` find the elements that decide the picture,
``dicom_pixels`` and ``dicom_codecs`` the stored values, ``dicom_lut`` and ``dicom_display`` what is shown of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.base.errors import RadlensError
from radlens.imaging.dicom.display import render_colour, render_grey, render_palette
from radlens.imaging.dicom.file import DicomFile, looks_like_dicom, read_dicom
from radlens.imaging.dicom.pixel_form import COLOUR, PALETTE, PixelForm, read_form
from radlens.imaging.dicom.pixels import read_values
from radlens.imaging.limits import DAMAGE, DEFAULT_LIMITS, DecodeError, DecodeLimits, RefusedError
from radlens.imaging.quiet import quiet_pydicom

__all__ = ["decode_dicom", "looks_like_dicom"]


def decode_dicom(
    location: str, content: bytes, limits: DecodeLimits = DEFAULT_LIMITS
) -> tuple[Image.Image, int, int, str, str]:
    """Render a single-frame DICOM image as a workstation would by default.

    Bone is white in all that comes out, see :func:`radlens.imaging.dicom.display.render_grey`. Colours become their
    luminance.

    Args:
        location: named in errors.
        content: the file.
        limits: bounds on it, checked before memory is spent.

    Returns:
        The picture (mode ``L``, 8 bit), its stored width and height, its photometric interpretation, and the name of
        its transfer syntax.

    Raises:
        DecodeError: no single-frame image, no pixel data, a transfer syntax without decoder, or damaged values.
        RadlensError: pydicom or imagecodecs is not installed.
    """
    try:
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ImportError:
        raise RadlensError(f"{location} is a DICOM file. To read it: pip install 'radlens[dicom]'") from None
    try:
        # Of impossible numbers nothing is said along the way either: they are refused where they arise.
        with quiet_pydicom(), np.errstate(all="ignore"):
            file = read_dicom(content, limits)
            _require_picture(file)
            form = read_form(file, limits)
            image = Image.fromarray(_render(file, form))
            return image, form.columns, form.rows, form.interpretation, str(file.syntax.name)
    except RefusedError as error:
        raise DecodeError(f"{location}: the DICOM image cannot be decoded: {error}") from None
    except (BytesLengthException, InvalidDicomError, *DAMAGE) as error:
        raise DecodeError(f"{location}: the DICOM image is damaged ({error or type(error).__name__})") from error


def _require_picture(file: DicomFile) -> None:
    header = file.header
    if "PixelData" in header:
        return
    if "FloatPixelData" in header or "DoubleFloatPixelData" in header:
        raise RefusedError("its values are floating-point numbers, which have no grey to be displayed with")
    from pydicom.uid import UID

    # What is no identifier could be anything that stands in the file, and is not repeated.
    uid = UID(file.text("SOPClassUID"))
    kind = uid.name if uid.is_valid else "of no known kind"
    raise RefusedError(f"the object ({kind}) holds no pixel data, or was cut short before them")


def _render(file: DicomFile, form: PixelForm) -> npt.NDArray[np.uint8]:
    values, ybr = read_values(file, form)
    if form.interpretation in COLOUR:
        return render_colour(values, form, ybr=ybr)
    render = render_palette if form.interpretation == PALETTE else render_grey
    return render(file, values, form)
