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


def _letters(text: str) -> str:
    """Letters and digits alone, as in names that writers space and underline as they please."""
    return "".join(letter for letter in text if letter.isalnum())


_KNOWN = {_letters(name): name for name in (*GREY, PALETTE, *COLOUR)}
# Of the standard, retired or not for still images: these are not to be taken for others misspelt.
_OTHER_COLOURS = frozenset({"HSV", "ARGB", "CMYK", "YBRPARTIAL422", "YBRPARTIAL420", "XYB"})


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
        declared: whether the header says how many bits a value has; otherwise ``stored`` is all that it takes.
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
    declared: bool = True

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
    frames = file.whole_or_none("NumberOfFrames")
    if frames is not None and frames > 1:
        raise RefusedError(f"{frames} frames; a single image was expected")
    if frames != 1 and file.raw("NumberOfFrames")[0].strip(b" \0"):
        file.remark("wrong Number of Frames: it is not a whole number from 1 on, and the data are of one frame")
    interpretation, samples = _read_interpretation(file)
    allocated, stored, high, declared = _read_bits(file)
    colour = interpretation in COLOUR
    signed = bool(_read_flag(file, "PixelRepresentation"))
    if signed and colour:
        file.remark("wrong Pixel Representation: colours are never signed")
        signed = False
    planar = bool(_read_flag(file, "PlanarConfiguration", 0)) if colour else False
    rows, columns = file.whole("Rows"), file.whole("Columns")
    require_size(columns, rows, samples * allocated / 8, limits)
    return PixelForm(
        rows,
        columns,
        samples,
        allocated,
        stored,
        high,
        signed=signed,
        planar=planar,
        interpretation=interpretation,
        padding=_read_padding(file, signed=signed),
        overlays=_read_overlays(file, range(high + 1 - stored, high + 1), allocated),
        declared=declared,
    )


def _read_interpretation(file: DicomFile) -> tuple[str, int]:
    """The photometric interpretation and the samples of a pixel; where one is missing or misspelt, the other tells."""
    text, samples = file.text("PhotometricInterpretation"), file.whole_or_none("SamplesPerPixel")
    interpretation = _KNOWN.get(_letters(text), "")
    if not interpretation and (_letters(text) in _OTHER_COLOURS or samples not in (1, 3)):
        raise RefusedError(f"the photometric interpretation is none of {', '.join(_KNOWN.values())}")
    if not interpretation:
        interpretation = "RGB" if samples == 3 else _guessed_grey(file, text)
    if interpretation != text:
        kind = "misspelt" if text else "missing"
        file.remark(f"Photometric Interpretation {kind}: read as {interpretation}")
    wanted = 3 if interpretation in COLOUR else 1
    if samples is None:
        file.remark(f"Samples per Pixel missing or unusable: {wanted}, as {interpretation} has")
    elif samples != wanted:
        raise RefusedError(f"{samples} samples in a pixel do not go with photometric interpretation {interpretation}")
    return interpretation, wanted


def _guessed_grey(file: DicomFile, text: str) -> str:
    if file.element("RedPaletteColorLookupTableDescriptor") is not None:
        return PALETTE
    return "MONOCHROME1" if text.startswith("M") and text.endswith("1") else "MONOCHROME2"


def _read_flag(file: DicomFile, keyword: str, default: int | None = None) -> int:
    """An element that is 0 or 1.

    Raises:
        RefusedError: it is missing or something else, and the limits do not allow to go on with 0.
    """
    try:
        flag = file.whole(keyword, default)
        if flag not in (0, 1):
            raise RefusedError(f"{keyword} is {flag}: 0 or 1 was expected")
    except RefusedError as error:
        file.pass_over(keyword, error)
        return 0
    return flag


def _read_bits(file: DicomFile) -> tuple[int, int, int, bool]:
    """Bits allocated, bits stored, high bit, these two as they are most often where the header has them wrong; and
    whether it says how many are stored.
    """
    allocated = file.whole("BitsAllocated")
    if allocated not in (8, 16, 32):
        raise RefusedError(f"{allocated} bits allocated to a value are not supported; 8, 16 and 32 are")
    stored = file.whole_or_none("BitsStored")
    declared = stored is not None and 1 <= stored <= allocated
    if stored is None or not declared:
        file.remark(f"Bits Stored is {_said(stored)}: all {allocated} bits allocated are read")
        stored = allocated
    high = file.whole_or_none("HighBit")
    if high is not None and not stored <= high + 1 <= allocated:
        file.remark(f"wrong High Bit: {high} declared for {stored} of {allocated} bits, {stored - 1} is taken")
        high = None
    return allocated, stored, stored - 1 if high is None else high, declared


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
            if data:
                file.remark("Pixel Padding Value passed over: its length is that of no stored value")
            return None
    return min(bounds), max(bounds)


def _read_overlays(file: DicomFile, value: range, allocated: int) -> int:
    """The mask of the bits that the header gives to overlays (DICOM PS3.3 C.9.2, retired in 2004)."""
    places = {place for place in file.overlay_bits() if 0 < place < allocated and place not in value}
    return sum(1 << place for place in places)
