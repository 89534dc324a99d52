"""Lookup tables of DICOM: modality, value of interest, palette; and segmented palettes.

pydicom has functions for these, which give the same picture on the radiographs that it ships. They are not used here:
they refuse modality tables of other than 8 and 16 bits and entries packed two to a word, which dcmtk shows, and take
four times as long and nine times the memory (62 ms and 110 MiB for 1,955 x 1,841 pixels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.limits import RefusedError

MAX_ENTRIES = 2**16


@dataclass(frozen=True)
class LookupTable:
    """A lookup table (DICOM PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5).

    Attributes:
        first: the input that the first entry belongs to; inputs below it have it too, as those above the last have
            the last.
        entries: uint16, at least one.
        bits: depth of the entries, 8 to 16.
    """

    first: int
    entries: npt.NDArray[np.uint16]
    bits: int

    def look_up(self, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The entries of finite inputs, which count as the nearest whole number; any shape."""
        places = np.clip(np.rint(inputs) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[places.astype(np.intp)], dtype=np.float64)

    @property
    def highest(self) -> int:
        """The entry that stands for white."""
        return int(2**self.bits - 1)


def read_lut(file: DicomFile, sequence: str, lowest_input: float) -> LookupTable:
    """The table of the first item of a sequence.

    Args:
        file: with the sequence, whose item has LUT Descriptor and LUT Data.
        sequence: ``ModalityLUTSequence`` or ``VOILUTSequence``.
        lowest_input: the smallest value that will be looked up; only below 0 can the first value mapped be negative.

    Raises:
        RefusedError: the table is incomplete, or contradicts its descriptor.
    """
    (descriptor, kind), data = file.table(sequence)
    count, first, bits = _described(file, "LUTDescriptor", descriptor, kind, lowest_input)
    entries = _entries(file, data, count, bits)
    highest = int(entries.max())
    # As in dcmtk, a depth that cannot be is told from the entries.
    depth = bits if 8 <= bits <= 16 else max(8, highest.bit_length())
    if highest >> depth:
        raise RefusedError(f"a lookup table of {depth} bits holds the entry {highest}")
    return LookupTable(first, entries, depth)


def read_palette(file: DicomFile, lowest_input: float) -> tuple[int, npt.NDArray[np.uint8]]:
    """The palette: the index of its first colour, and red, green and blue, shape (entries, 3).

    Raises:
        RefusedError: the palette is incomplete, or its parts differ in length.
    """
    channels, firsts = [], set()
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTableDescriptor"
        count, first, bits = _described(file, keyword, *file.raw(keyword), lowest_input)
        data, _ = file.raw(f"{colour}PaletteColorLookupTableData")
        segments, _ = file.raw(f"Segmented{colour}PaletteColorLookupTableData")
        if segments and not data:
            entries = expand_segments(segments, bits, file.order, count)
        else:
            entries = _entries(file, data, count, bits)
        firsts.add(first)
        channels.append(entries)
    if len(firsts) != 1 or len({len(channel) for channel in channels}) != 1:
        raise RefusedError("the palettes of red, green and blue differ in length or beginning")
    colours = np.stack(channels, axis=1)
    # Descriptors that say 16 bits for entries of 8 are common; entries above 255 settle it.
    deep = bool((colours > 255).any())
    return firsts.pop(), np.rint(colours / 257.0).astype(np.uint8) if deep else colours.astype(np.uint8)


def _described(
    file: DicomFile, keyword: str, descriptor: bytes, kind: str, lowest_input: float
) -> tuple[int, int, int]:
    """Number of entries, first value mapped, bits."""
    words = file.words(descriptor)
    if len(words) != 3:
        raise RefusedError(f"{keyword} is missing or damaged")
    count, first, bits = words
    # Many writers give the US or SS of the pixels without thought; a negative beginning needs negative inputs.
    if first >= 2**15 and (kind == "SS" or lowest_input < 0):
        first -= 2**16
    return count or MAX_ENTRIES, first, bits


def _entries(file: DicomFile, data: bytes, count: int, bits: int) -> npt.NDArray[np.uint16]:
    """Entries of 16 bits, or of 8 bits two to a word with the earlier one in the lower byte."""
    words = np.frombuffer(data[: len(data) // 2 * 2], dtype=f"{file.order}u2")
    if len(words) >= count:
        return words[:count].astype(np.uint16)
    pairs = words.astype("<u2").view(np.uint8)
    odd = np.frombuffer(data[len(pairs) :], dtype=np.uint8)
    packed = np.concatenate([pairs, odd])
    if len(packed) < count or bits > 8:
        raise RefusedError(f"a lookup table of {count:,} entries of {bits} bits has only {len(data):,} bytes")
    return packed[:count].astype(np.uint16)


def expand_segments(data: bytes, bits: int, order: str, count: int) -> npt.NDArray[np.uint16]:
    """Expand a segmented palette (DICOM PS3.3 C.7.9.2).

    Args:
        data: the segments: discrete, linear or indirect.
        bits: of an entry, 8 or 16.
        order: byte order, ``<`` or ``>``.
        count: entries that the descriptor declares.

    Raises:
        RefusedError: the segments are damaged, or do not come to ``count`` entries.

    >>> expand_segments(bytes([0, 2, 10, 20, 1, 4, 60, 0]), 8, "<", 6).tolist()
    [10, 20, 30, 40, 50, 60]
    """
    wide = bits > 8
    values = np.frombuffer(data[: len(data) // 2 * 2] if wide else data, dtype=f"{order}u2" if wide else np.uint8)
    if not wide and order == ">":
        values = values[: len(values) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
    expanded: list[int] = []
    codes = [int(value) for value in values]
    _expand(codes, 0, len(codes), expanded, count, wide, nested=False)
    if len(expanded) != count:
        raise RefusedError(f"a segmented palette comes to {len(expanded):,} entries where {count:,} were declared")
    return np.array(expanded, dtype=np.uint16)


def _expand(
    codes: list[int], at: int, segments: int, expanded: list[int], count: int, wide: bool, *, nested: bool
) -> None:
    """Append the entries of some segments; an indirect segment names others by place, and those may not be indirect."""
    for _ in range(segments):
        if at + 2 >= len(codes) or len(expanded) >= count:
            return
        kind, length = codes[at], codes[at + 1]
        at += 2
        if kind == 0 and length:
            expanded += codes[at : at + length]
            at += length
        elif kind == 1 and expanded and length:
            steps = np.linspace(expanded[-1], codes[at], length + 1)[1:]
            expanded += [int(value) for value in np.rint(steps)]
            at += 1
        elif kind == 2 and not nested:
            parts = codes[at : at + (2 if wide else 4)]
            place = sum(part << ((16 if wide else 8) * power) for power, part in enumerate(parts))
            _expand(codes, place // (2 if wide else 1), length, expanded, count, wide, nested=True)
            at += len(parts)
        else:
            raise RefusedError(f"a segmented palette holds a segment of kind {kind} where none can be")
