"""How the pixels of a DICOM file are stored, as its header declares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.limits import DecodeLimits, RefusedError, require_size

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class PixelForm:
    """How the pixels are stored, as the header declares it (DICOM PS3.3 C.7.6.3).

    Attributes:
        rows: height, in pixels.
        columns: width, in pixels.
        samples: values of a pixel, 1 or 3.
        allocated: bits that a value takes: 8, 16 or 32.
        stored: bits that a value has.
        high: the place of its highest bit.
        signed: whether values are two's complement.
        planar: whether each colour is stored apart.
        interpretation: photometric interpretation.
        padding: the smallest and largest value that pads the picture and is no part of it; None: none does.
        overlays: a mask of the bits in which overlays lie among the values, as was usual before 2004.
    """

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    planar: bool
    interpretation: str
    padding: tuple[int, int] | None = None
    overlays: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array of values: (rows, columns), or (rows, columns, 3)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def lowest(self) -> int:
        """The smallest value that can be stored."""
        return -(2 ** (self.stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest value that can be stored."""
        return self.lowest + int(2**self.stored) - 1

    def is_padding(self, values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Which of some values are padding."""
        if self.padding is None:
            return np.zeros(values.shape, dtype=np.bool_)
        return np.asarray((values >= self.padding[0]) & (values <= self.padding[1]))


def read_form(file: DicomFile, limits: DecodeLimits) -> PixelForm:
    """Read and check how the pixels are stored.

    Raises:
        RefusedError: an element is missing, absurd or not supported, or the picture exceeds the limits.
    """
    frames = file.whole("NumberOfFrames", 1)
    if frames != 1:
        raise RefusedError(f"{frames} frames; a single image was expected")
    interpretation = file.text("PhotometricInterpretation")
    samples = file.whole("SamplesPerPixel")
    if interpretation not in (*GREY, PALETTE, *COLOUR):
        raise RefusedError(f"the photometric interpretation is none of {', '.join((*GREY, PALETTE, *COLOUR))}")
    if samples != (3 if interpretation in COLOUR else 1):
        raise RefusedError(f"{samples} samples in a pixel do not go with photometric interpretation {interpretation}")
    allocated, stored, high = _read_bits(file)
    representation, planar = file.whole("PixelRepresentation"), file.whole("PlanarConfiguration", 0)
    if representation not in (0, 1) or planar not in (0, 1):
        raise RefusedError(
            f"PixelRepresentation {representation} and PlanarConfiguration {planar}: 0 or 1 was expected"
        )
    if representation and interpretation in COLOUR:
        raise RefusedError(f"signed values do not go with photometric interpretation {interpretation}")
    rows, columns = file.whole("Rows"), file.whole("Columns")
    require_size(columns, rows, samples * allocated / 8, limits)
    return PixelForm(
        rows,
        columns,
        samples,
        allocated,
        stored,
        high,
        signed=bool(representation),
        planar=bool(planar),
        interpretation=interpretation,
        padding=_read_padding(file, signed=bool(representation)),
        overlays=_read_overlays(file, range(high + 1 - stored, high + 1), allocated),
    )


def _read_bits(file: DicomFile) -> tuple[int, int, int]:
    """Bits allocated, bits stored, high bit; the last two as they are most often, where the header has them wrong."""
    allocated = file.whole("BitsAllocated")
    if allocated not in (8, 16, 32):
        raise RefusedError(f"{allocated} bits allocated to a value are not supported; 8, 16 and 32 are")
    stored = file.whole_or_none("BitsStored")
    if stored is None or not 1 <= stored <= allocated:
        file.remark(f"Bits Stored is {_said(stored)}: all {allocated} bits allocated are read")
        stored = allocated
    high = file.whole_or_none("HighBit")
    if high is not None and not stored <= high + 1 <= allocated:
        file.remark(f"wrong High Bit: {high} declared for {stored} of {allocated} bits, {stored - 1} is taken")
        high = None
    return allocated, stored, stored - 1 if high is None else high


def _said(number: int | None) -> str:
    return "missing" if number is None else f"{number}, which cannot be"


def _read_padding(file: DicomFile, *, signed: bool) -> tuple[int, int] | None:
    """The smallest and largest padding value; they are stored values, with the sign of these."""
    bounds = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        data, _ = file.raw(keyword)
        if len(data) in (2, 4):
            bounds.append(int.from_bytes(data, "little" if file.order == "<" else "big", signed=signed))
        elif keyword == "PixelPaddingValue":
            return None
    return min(bounds), max(bounds)


def _read_overlays(file: DicomFile, value: range, allocated: int) -> int:
    """The mask of the bits that the header gives to overlays (DICOM PS3.3 C.9.2, retired in 2004)."""
    places = {place for place in file.overlay_bits() if 0 < place < allocated and place not in value}
    return sum(1 << place for place in places)
