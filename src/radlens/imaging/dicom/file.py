"""From the bytes of a DICOM file to the elements that decide its picture; nothing else of the header is looked at."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from radlens.imaging.dicom.inflate import inflate
from radlens.imaging.limits import DecodeLimits, RefusedError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

PREAMBLE, MAGIC = 128, b"DICM"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

# One read in pydicom is a part of an element; of the files of pydicom-data, no image takes more than a few hundred.
MAX_READS = 100_000
MAX_VALUE = 4096

_KINDS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
_LONG_KINDS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

_TRANSFER_SYNTAX = 0x00020010
_WANTED = (
    "SOPClassUID",
    "Modality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTFunction",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "PresentationLUTShape",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "PixelData",
)
# Where the enhanced objects keep what others keep at the top (DICOM PS3.3 C.7.6.16).
_FUNCTIONAL_GROUPS = {
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
}


@dataclass(frozen=True)
class DicomFile:
    """The elements of a file that decide its picture.

    Attributes:
        header: these elements, and no others.
        syntax: the transfer syntax, guessed where the file does not name it.
        order: byte order of numbers, ``<`` or ``>``.
    """

    header: Dataset
    syntax: UID
    order: str

    def whole(self, keyword: str, default: int | None = None) -> int:
        """An element as a whole number; the default, if there is one, where it is missing or empty.

        Raises:
            RefusedError: it is missing, or no single whole number.
        """
        value = self._value(keyword)
        if value is None or value == "":
            if default is None:
                raise RefusedError(f"{keyword} is missing")
            return default
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            raise RefusedError(f"{keyword} is no single whole number") from None

    def number(self, keyword: str) -> float | None:
        """An element, or the first of its values, as a number; None where it is missing or empty.

        Raises:
            RefusedError: it is no finite number.
        """
        value = self._value(keyword)
        if not isinstance(value, (str, bytes, float, int)) and value is not None:
            value = next(iter(value), None)
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise RefusedError(f"{keyword} is no number") from None
        if not math.isfinite(number):
            raise RefusedError(f"{keyword} is not finite")
        return number

    def text(self, keyword: str) -> str:
        """A code in capitals, without padding; empty where it is missing."""
        value = self._value(keyword)
        return value.strip(" \0").upper() if isinstance(value, str) else ""

    def _value(self, keyword: str) -> Any:
        """An element that is short, as pydicom understands it."""
        element: Any = self.header.get_item(keyword)
        stored = None if element is None else element.value
        if isinstance(stored, bytes) and (len(stored) > MAX_VALUE or element.VR == "SQ"):
            raise RefusedError(f"{keyword} is a value of {len(stored):,} bytes; a short one was expected")
        return self.header.get(keyword)

    def raw(self, keyword: str, of: Dataset | None = None) -> tuple[bytes, str]:
        """An element's bytes as they are stored, and its value representation; empty where it is missing."""
        element: Any = (self.header if of is None else of).get_item(keyword)
        value = None if element is None else element.value
        return (value, str(element.VR or "")) if isinstance(value, bytes) else (b"", "")

    def words(self, keyword: str, of: Dataset | None = None) -> tuple[tuple[int, ...], str]:
        """An element's bytes as unsigned numbers of 16 bits, and its value representation."""
        value, kind = self.raw(keyword, of)
        return struct.unpack(f"{self.order}{len(value) // 2}H", value[: len(value) // 2 * 2]), kind

    def items(self, keyword: str, of: Dataset | None = None) -> list[Dataset]:
        """The items of a sequence; none where it is missing.

        Raises:
            RefusedError: it has more elements than any image.
        """
        from pydicom.filereader import read_sequence

        element: Any = (self.header if of is None else of).get_item(keyword)
        if element is None or not element.value:
            return []
        if not isinstance(element.value, bytes):
            return list(element.value)
        # What is of unknown representation is implicit (PS3.5 6.2.2).
        implicit = self.syntax == IMPLICIT or element.VR == "UN"
        bounded = _Metered(element.value)
        return list(read_sequence(bounded, implicit, self.order == "<", len(element.value), "iso8859"))


def looks_like_dicom(content: bytes) -> bool:
    """Whether bytes are DICOM: by the prefix, else by first elements that nothing but a DICOM data set begins with.

    >>> looks_like_dicom(bytes(128) + b"DICM"), looks_like_dicom(b"GIF89a" + bytes(200))
    (True, False)
    """
    if content[PREAMBLE : PREAMBLE + 4] == MAGIC:
        return True
    return any(_begins_with_elements(content, *form) for form in (("<", True), ("<", False), (">", True)))


def _begins_with_elements(content: bytes, order: str, explicit: bool) -> bool:
    """Whether three elements stand at the beginning, their tags ascending from group 2 or 8."""
    place, last = 0, 0
    for _ in range(3):
        head = content[place : place + 12]
        if len(head) < 12:
            return False
        group, element, length = struct.unpack(f"{order}HHL", head[:8])
        if group > 0x7FE0 or (not last and group not in (2, 8)) or (last and (group << 16 | element) <= last):
            return False
        place += 8
        if explicit:
            kind = head[4:6]
            if kind not in _KINDS:
                return False
            if kind in _LONG_KINDS:
                (length,) = struct.unpack(f"{order}L", head[8:])
                place += 4
            else:
                (length,) = struct.unpack(f"{order}H", head[6:8])
        place += length
        last = group << 16 | element
        if length % 2 or place > len(content):
            return False
    return True


def read_dicom(content: bytes, limits: DecodeLimits) -> DicomFile:
    """Read the elements that decide the picture.

    The whole file is inflated if it is deflated, but only after its size was counted. A file without the preamble
    is read if :func:`looks_like_dicom` says so.

    Raises:
        RefusedError: it inflates to more than the limits allow, or has more elements than any image.
    """
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_dataset
    from pydicom.tag import Tag
    from pydicom.uid import UID

    if not looks_like_dicom(content):
        raise RefusedError("neither the DICOM prefix nor a DICOM header is at its beginning")
    file = _Metered(content)
    file.seek(PREAMBLE + 4 if content[PREAMBLE : PREAMBLE + 4] == MAGIC else 0)
    meta = read_dataset(file, False, True, stop_when=_beyond(0x0002FFFF), specific_tags=[Tag(_TRANSFER_SYNTAX)])
    at = file.tell()
    named = DicomFile(meta, UID(EXPLICIT), "<").text("TransferSyntaxUID")
    syntax = UID(named or _guess(content[at : at + 6]))
    if syntax == DEFLATED:
        file = _Metered(inflate(content[at:], limits))
    wanted = [Tag(tag) for keyword in _WANTED if (tag := tag_for_keyword(keyword)) is not None]
    header = read_dataset(file, syntax == IMPLICIT, syntax != BIG_ENDIAN, specific_tags=list(wanted))
    found = DicomFile(header, syntax, ">" if syntax == BIG_ENDIAN else "<")
    _lift_functional_groups(found)
    return found


class _Metered(io.BytesIO):
    """Bytes that may be read a bounded number of times: a few bytes make an element that takes a thousand to hold."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise RefusedError("it has more elements than an image can have")
        return super().read(size)


def _beyond(tag: int) -> Callable[[int, str | None, int], bool]:
    return lambda found, _kind, _length: found > tag


def _guess(begin: bytes) -> str:
    """The transfer syntax of a data set that does not name it, by its first tag and value representation."""
    if begin[4:6] not in _KINDS:
        return IMPLICIT
    # A group above 03FF this early is one below 0100 in the other byte order.
    return BIG_ENDIAN if int.from_bytes(begin[:2], "little") >= 0x0400 else EXPLICIT


def _lift_functional_groups(file: DicomFile) -> None:
    """Put what an enhanced object says of its only frame where the other objects say it."""
    for place in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for groups in file.items(place)[:1]:
            for sequence, keywords in _FUNCTIONAL_GROUPS.items():
                for item in file.items(sequence, groups)[:1]:
                    for keyword in keywords:
                        element = item.get_item(keyword)
                        if element is not None and keyword not in file.header:
                            file.header[element.tag] = element
