"""How the pixels of a DICOM file are stored, as its header declares it."""

from __future__ import annotations

from dataclasses import dataclass

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
    allocated, stored = file.whole("BitsAllocated"), file.whole("BitsStored")
    high = file.whole("HighBit", stored - 1)
    if allocated not in (8, 16, 32):
        raise RefusedError(f"{allocated} bits allocated to a value are not supported; 8, 16 and 32 are")
    if not 1 <= stored <= high + 1 <= allocated:
        raise RefusedError(
            f"{stored} bits up to bit {high} do not lie within the {allocated} bits allocated to a value"
        )
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
        rows, columns, samples, allocated, stored, high, bool(representation), bool(planar), interpretation
    )
