"""From DICOM stored values to a display-ready grey picture: modality LUT, window or VOI LUT, polarity."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from radlens.errors import RadlensError

if TYPE_CHECKING:
    import numpy.typing as npt
    from pydicom import Dataset


def decode_dicom(location: str, content: bytes) -> tuple[Image.Image, int, int, str]:
    """Render a single-frame DICOM image as a workstation would by default.

    The modality LUT (or rescale) is applied, then the first VOI LUT or window; without one the whole range of values
    is shown. MONOCHROME1 and an INVERSE presentation LUT shape are inverted, so that bone is white in all that
    comes out (DICOM PS3.3 C.11.1, C.11.2, C.7.6.3.1.2).

    Returns:
        The picture (mode ``L``, 8 bit), its stored width and height, and its photometric interpretation.

    Raises:
        DecodeError: no single-frame image, no pixel data, a transfer syntax without decoder, or damaged values.
        RadlensError: pydicom is not installed.
    """
    from radlens.imaging.decode import DAMAGE, MAX_PIXELS, DecodeError

    try:
        import pydicom
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ImportError:
        raise RadlensError(f"{location} is a DICOM file. To read it: pip install 'radlens[dicom]'") from None
    try:
        header = pydicom.dcmread(io.BytesIO(content))
        if "PixelData" not in header:
            raise DecodeError(
                f"{location}: the DICOM object ({header.get('Modality', 'no modality')}) holds no pixel data"
            )
        rows, columns = int(header.Rows), int(header.Columns)
        frames = int(header.get("NumberOfFrames", 1) or 1)
        if frames != 1:
            raise DecodeError(f"{location}: {frames} frames; a single image was expected")
        if rows * columns > MAX_PIXELS:
            raise DecodeError(f"{location}: {columns} x {rows} pixels; at most {MAX_PIXELS:,} are opened")
        interpretation = str(header.PhotometricInterpretation)
        image = Image.fromarray(_render(header, interpretation))
    except DecodeError:
        raise
    except (BytesLengthException, InvalidDicomError, *DAMAGE) as error:
        raise DecodeError(f"{location}: the DICOM image cannot be decoded ({error})") from error
    return image, columns, rows, interpretation


def _render(header: Dataset, interpretation: str) -> npt.NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi
    from pydicom.pixels.utils import pixel_array

    pixels = pixel_array(header)
    if interpretation not in ("MONOCHROME1", "MONOCHROME2"):
        if pixels.ndim == 3 and pixels.dtype == np.uint8:
            return np.asarray(Image.fromarray(pixels).convert("L"))
        raise ValueError(f"photometric interpretation {interpretation} is not supported")
    values = np.asarray(apply_modality_lut(pixels, header), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("values are not finite after rescaling")
    centre, width = _first(header.get("WindowCenter")), _first(header.get("WindowWidth"))
    if header.get("VOILUTSequence"):
        # The table is indexed by whole numbers, as the modality LUT gives them; its third descriptor is its depth.
        depth = int(header.VOILUTSequence[0].LUTDescriptor[2])
        shown = np.minimum(apply_voi(np.rint(values).astype(np.int64), header) / (2.0**depth - 1), 1.0)
    elif centre is not None and width is not None:
        shown = window(values, centre, width, str(header.get("VOILUTFunction") or "LINEAR"))
    else:
        shown = _stretch(values)
    if interpretation == "MONOCHROME1" or str(header.get("PresentationLUTShape", "")) == "INVERSE":
        shown = 1.0 - shown
    return np.asarray(shown * 255.0 + 0.5, dtype=np.uint8)


def window(
    values: npt.NDArray[np.float64], centre: float, width: float, function: str = "LINEAR"
) -> npt.NDArray[np.float64]:
    """Apply a window: values to the share of the grey range, 0 to 1 (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Raises:
        ValueError: the width is too small for the function, or the function is unknown.

    >>> window(np.array([-1.0, 2048.0, 5000.0]), 2048.0, 4096.0, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    if not np.isfinite(centre) or not np.isfinite(width) or width <= (1 if function == "LINEAR" else 0):
        raise ValueError(f"window centre {centre} and width {width} cannot be used with {function}")
    if function == "LINEAR":
        return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(-4.0 * (values - centre) / width)))
    raise ValueError(f"VOI LUT function {function} is not supported")


def _first(value: object) -> float | None:
    """Several windows may be given, the first being the default view; an empty element means none."""
    from pydicom.multival import MultiValue

    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value in (None, "") else float(value)  # type: ignore[arg-type]


def _stretch(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
