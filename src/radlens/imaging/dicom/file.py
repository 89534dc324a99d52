"""The elements of a DICOM file that decide its picture, as numbers, codes and bytes."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass, field

from radlens.imaging.dicom.elements import MAX_VALUE, Element, Elements, Place, read_elements
from radlens.imaging.limits import DEFAULT_LIMITS, DamagedError, DecodeLimits, RefusedError

# By keyword: the tag, and the value representation that counts where the file does not state one (DICOM PS3.6).
_ELEMENTS = {
    "SOPClassUID": (0x00080016, "UI"),
    "PresentationIntentType": (0x00080068, "CS"),
    "SamplesPerPixel": (0x00280002, "US"),
    "PhotometricInterpretation": (0x00280004, "CS"),
    "PlanarConfiguration": (0x00280006, "US"),
    "NumberOfFrames": (0x00280008, "IS"),
    "Rows": (0x00280010, "US"),
    "Columns": (0x00280011, "US"),
    "BitsAllocated": (0x00280100, "US"),
    "BitsStored": (0x00280101, "US"),
    "HighBit": (0x00280102, "US"),
    "PixelRepresentation": (0x00280103, "US"),
    "PixelPaddingValue": (0x00280120, "US"),
    "PixelPaddingRangeLimit": (0x00280121, "US"),
    "PixelIntensityRelationshipSign": (0x00281041, "SS"),
    "WindowCenter": (0x00281050, "DS"),
    "WindowWidth": (0x00281051, "DS"),
    "RescaleIntercept": (0x00281052, "DS"),
    "RescaleSlope": (0x00281053, "DS"),
    "VOILUTFunction": (0x00281056, "CS"),
    "RedPaletteColorLookupTableDescriptor": (0x00281101, "US"),
    "GreenPaletteColorLookupTableDescriptor": (0x00281102, "US"),
    "BluePaletteColorLookupTableDescriptor": (0x00281103, "US"),
    "RedPaletteColorLookupTableData": (0x00281201, "OW"),
    "GreenPaletteColorLookupTableData": (0x00281202, "OW"),
    "BluePaletteColorLookupTableData": (0x00281203, "OW"),
    "SegmentedRedPaletteColorLookupTableData": (0x00281221, "OW"),
    "SegmentedGreenPaletteColorLookupTableData": (0x00281222, "OW"),
    "SegmentedBluePaletteColorLookupTableData": (0x00281223, "OW"),
    "PresentationLUTShape": (0x20500020, "CS"),
    "FloatPixelData": (0x7FE00008, "OF"),
    "DoubleFloatPixelData": (0x7FE00009, "OD"),
    "PixelData": (0x7FE00010, "OW"),
}
_LUT_SEQUENCES = {"ModalityLUTSequence": 0x00283000, "VOILUTSequence": 0x00283010}
_LUT_DESCRIPTOR, _LUT_DATA = 0x00283002, 0x00283006
# Where the enhanced objects keep what others keep at the top (PS3.3 C.7.6.16): the groups of the frame, then those of
# all frames; and in them a sequence.
_GROUPS = (0x52009230, 0x52009229)
_RESCALING, _WINDOW = 0x00289145, 0x00289132
_GROUPED = {
    **dict.fromkeys(("RescaleIntercept", "RescaleSlope"), _RESCALING),
    **dict.fromkeys(("WindowCenter", "WindowWidth", "VOILUTFunction"), _WINDOW),
}


def _places(keyword: str) -> list[Place]:
    """Where an element may stand; the first place counts."""
    tag = _ELEMENTS[keyword][0]
    grouped = [(group, _GROUPED[keyword], tag) for group in _GROUPS] if keyword in _GROUPED else []
    return [(tag,), *grouped]


# Overlays come in up to 16 groups, each with its own bit among those of the values (retired in 2004).
_OVERLAY_BITS: tuple[Place, ...] = tuple((group << 16 | 0x0102,) for group in range(0x6000, 0x6020, 2))
_WANTED: frozenset[Place] = frozenset(
    {place for keyword in _ELEMENTS for place in _places(keyword)}
    | {(sequence, tag) for sequence in _LUT_SEQUENCES.values() for tag in (_LUT_DESCRIPTOR, _LUT_DATA)}
    | {*_OVERLAY_BITS}
)
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_UNKNOWN = ("", "UN")


@dataclass(frozen=True)
class DicomFile:
    """The elements of a file that decide its picture.

    Attributes:
        elements: these elements, and no others.
        limits: whether to go on without elements that give the values their meaning.
        remarks: what is wrong with the header and did not keep the picture from being shown, see :meth:`remark`.
    """

    elements: Elements
    limits: DecodeLimits = DEFAULT_LIMITS
    remarks: list[str] = field(default_factory=list)

    @property
    def syntax(self) -> str:
        """The transfer syntax, guessed where the file does not name it."""
        return self.elements.syntax

    @property
    def order(self) -> str:
        """Byte order of numbers, ``<`` or ``>``."""
        return self.elements.order

    def remark(self, text: str) -> None:
        """Take note of something in the header that is wrong or was passed over.

        What comes before the first colon names the kind of fault, and is the same for all files that have it. No value
        is repeated that could be of a patient.
        """
        if text not in self.remarks:
            self.remarks.append(text)

    def pass_over(self, what: str, error: RefusedError) -> None:
        """Go on without an element that gives the values their meaning, with a remark, where the limits allow it.

        Raises:
            RefusedError: they do not.
        """
        if self.limits.unusable_elements == "refuse":
            raise RefusedError(
                f"{error}. This gives the stored values their meaning; to go on without it, with a remark, set "
                "data.limits.unusable_elements=pass_over"
            ) from error
        self.remark(f"{what} passed over: {error}")

    def overlay_bits(self) -> tuple[int, ...]:
        """The bits of a value that the header gives to overlays; 0 for an overlay that is stored apart."""
        places = (self.elements.number(place) for place in _OVERLAY_BITS)
        return tuple(place for place in places if place is not None)

    def element(self, keyword: str) -> Element | None:
        """An element as it is stored; None where it is missing."""
        stored = (self.elements.values.get(place) for place in _places(keyword))
        return next((element for element in stored if element is not None), None)

    def whole(self, keyword: str, default: int | None = None) -> int:
        """An element as a whole number; the default, if there is one, where it is missing or empty.

        Raises:
            RefusedError: it is missing, or is not a single whole number.
        """
        values = self._values(keyword)
        if not values:
            if default is None:
                raise RefusedError(f"{keyword} is missing")
            return default
        try:
            number = float(values[0])
            if len(values) == 1 and number.is_integer():
                return int(number)
        except ValueError:
            pass
        raise RefusedError(f"{keyword} is not a single whole number")

    def whole_or_none(self, keyword: str) -> int | None:
        """An element as a whole number; None where it is missing, empty, or not a single whole number."""
        try:
            return self.whole(keyword)
        except RefusedError:
            return None

    def number(self, keyword: str) -> float | None:
        """An element, or the first of its values, as a number; None where it is missing or empty.

        Raises:
            RefusedError: it is not a finite number.
        """
        values = self._values(keyword)
        if not values or values[0] == "":
            return None
        number = _finite(values[0])
        if number is None:
            raise RefusedError(f"{keyword} is not a finite number")
        return number

    def numbers(self, keyword: str) -> list[float | None]:
        """All values of an element, None for each that is not a finite number; none where it is missing or empty."""
        try:
            values = self._values(keyword)
        except RefusedError:
            return [None]
        return [_finite(value) for value in values]

    def text(self, keyword: str) -> str:
        """A code in capitals, without padding; empty where it is missing, one of several, or damaged."""
        try:
            values = self._values(keyword)
        except RefusedError:
            return ""
        return str(values[0]).upper() if len(values) == 1 else ""

    def raw(self, keyword: str) -> tuple[bytes, str]:
        """An element's bytes as they are stored, and its value representation; empty where it is missing."""
        return _bytes_and_kind(self.element(keyword))

    def has_table(self, sequence: str) -> bool:
        """Whether a sequence of lookup tables has an item."""
        return (_LUT_SEQUENCES[sequence],) in self.elements.values

    def table(self, sequence: str) -> tuple[tuple[bytes, str], bytes]:
        """Of the first item of a sequence of lookup tables: the descriptor as in :meth:`raw`, and the data."""
        values, at = self.elements.values, _LUT_SEQUENCES[sequence]
        descriptor, data = values.get((at, _LUT_DESCRIPTOR)), values.get((at, _LUT_DATA))
        return _bytes_and_kind(descriptor), _bytes_and_kind(data)[0]

    def words(self, value: bytes) -> tuple[int, ...]:
        """Bytes as unsigned numbers of 16 bits."""
        return struct.unpack(f"{self.order}{len(value) // 2}H", value[: len(value) // 2 * 2])

    def _values(self, keyword: str) -> list[str] | list[float]:
        """The values of an element that is short, numbers or texts without padding; none where it is missing or empty.

        Raises:
            RefusedError: it is long.
            DamagedError: its length is that of no number.
        """
        value, kind = self.raw(keyword)
        if len(value) > MAX_VALUE:
            raise RefusedError(f"{keyword} is a value of {len(value):,} bytes; a short one was expected")
        form = _NUMBERS.get(_ELEMENTS[keyword][1] if kind in _UNKNOWN else kind)
        if form is None:
            texts = [text.strip(" \0") for text in value.decode("ascii", "replace").split("\\")]
            return texts if texts != [""] else []
        size = struct.calcsize(f"={form}")
        if len(value) % size:
            raise DamagedError(f"{keyword} has {len(value)} bytes; {size} were expected")
        return list(struct.unpack(f"{self.order}{len(value) // size}{form}", value))


def read_dicom(content: bytes, limits: DecodeLimits) -> DicomFile:
    """Read the elements that decide the picture.

    Raises:
        RefusedError: it is not DICOM, inflates to more than the limits allow, or has more elements than any image.
    """
    elements = read_elements(io.BytesIO(content), _WANTED, limits)
    if elements is None:
        raise RefusedError("neither the DICOM prefix nor a DICOM header is at its beginning")
    return DicomFile(elements, limits, list(elements.remarks))


def _finite(value: str | float) -> float | None:
    # Python would take an underscore between digits.
    if isinstance(value, str) and "_" in value:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bytes_and_kind(element: Element | None) -> tuple[bytes, str]:
    return (b"", "") if element is None else (element.value, element.kind.decode("ascii"))
