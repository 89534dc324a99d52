"""The window or lookup table that a file asks to be shown through; what cannot be used is passed over with a remark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.dicom.lut import read_lut
from radlens.imaging.limits import RefusedError

Floats = npt.NDArray[np.float64]
Mapping = Callable[[Floats], Floats]

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def value_of_interest(file: DicomFile, low: float, *, rescaling_holds: bool = True) -> Mapping | None:
    """Values to the share of the grey range, 0 to 1: by the first VOI LUT, else a window; None: there is neither.

    The first window that can be used counts. All of them only say how a picture is best looked at, so that one which
    cannot be used costs no picture.

    Args:
        file: is told a remark for each that is passed over.
        low: smallest value of the picture, after rescaling.
        rescaling_holds: whether values are what windows and tables are meant for; otherwise all are passed over.
    """
    if rescaling_holds:
        return _by_table(file, low) or _by_window(file)
    if file.has_table("VOILUTSequence") or file.element("WindowCenter") is not None:
        file.remark("window passed over: it is meant for rescaled values")
    return None


def window(values: Floats, centre: float, width: float, function: str = "LINEAR") -> Floats:
    """Apply a window: values to the share of the grey range, 0 to 1 (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        values: any shape.
        centre: of the window, finite.
        width: finite; 1 or more for LINEAR, above 0 for the others.
        function: LINEAR, LINEAR_EXACT or SIGMOID.

    >>> window(np.array([-1.0, 2048.0, 5000.0]), 2048.0, 4096.0, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    if function == "SIGMOID":
        # 1 / (1 + exp(-4 x)), in a form that does not overflow.
        return np.asarray(0.5 + 0.5 * np.tanh(2.0 * ((values - centre) / width)))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return np.asarray(values > centre - 0.5, dtype=np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def _by_table(file: DicomFile, low: float) -> Mapping | None:
    if not file.has_table("VOILUTSequence"):
        return None
    try:
        table = read_lut(file, "VOILUTSequence", low)
    except RefusedError as error:
        file.remark(f"VOI LUT passed over: {error}")
        return None
    return lambda values: table.look_up(values) / table.highest


def _by_window(file: DicomFile) -> Mapping | None:
    centres, widths = file.numbers("WindowCenter"), file.numbers("WindowWidth")
    if not centres and not widths:
        return None
    function = file.text("VOILUTFunction") or "LINEAR"
    if function not in FUNCTIONS:
        file.remark(f"unknown VOI LUT Function: none of {', '.join(FUNCTIONS)}, LINEAR is taken")
        function = "LINEAR"
    if len(centres) != len(widths):
        file.remark(f"window passed over: {len(centres)} value(s) of Window Center, {len(widths)} of Window Width")
    for centre, width in zip(centres, widths, strict=False):
        if centre is None or width is None:
            file.remark("window passed over: its centre or width is not a finite number")
        elif width < (1 if function == "LINEAR" else 0) or width == 0:
            file.remark(f"window passed over: width {width:g} cannot be used with {function}")
        else:
            return _windowing(centre, width, function)
    return None


def _windowing(centre: float, width: float, function: str) -> Mapping:
    return lambda values: window(values, centre, width, function)
